use super::Stage;
use crate::{ErrorKind, NewSyncLog, Order, PageRequest, Platform, SyncStatus, time};

fn log(platform: Platform, records_synced: i32) -> NewSyncLog {
    NewSyncLog {
        platform,
        status: SyncStatus::Success,
        records_synced,
        error_message: None,
    }
}

/// The log of a run that wrote one record.
pub(super) fn success() -> NewSyncLog {
    log(Platform::KDP, 1)
}

pub async fn logs_come_back_newest_first(stage: Stage<'_>) {
    let logs = stage.store.sync_logs();
    let before = time::now();
    let mut failed = log("a platform of their own".parse().unwrap(), 0);
    failed.status = SyncStatus::Failed;
    failed.error_message = Some("429 – too many calls; “later”".to_owned());
    let first = logs
        .create(stage.user, log(Platform::KDP, i32::MAX))
        .await
        .unwrap();
    let second = logs.create(stage.user, failed.clone()).await.unwrap();
    assert!(second.id > first.id);
    assert!(
        second
            .synced_at
            .is_some_and(|at| before <= at && at <= time::now())
    );
    assert_eq!(second.error_message, failed.error_message);
    let page = logs
        .list(stage.user, None, PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(page.items, [second, first]);
    assert_eq!(page.next, None);
    let others = logs
        .list(stage.stranger, None, PageRequest::first(10))
        .await
        .unwrap();
    assert!(others.items.is_empty());
}

pub async fn logs_are_paged_and_filtered(stage: Stage<'_>) {
    let logs = stage.store.sync_logs();
    for n in 0..7 {
        let platform = if n % 2 == 0 {
            Platform::KDP
        } else {
            Platform::GUMROAD
        };
        logs.create(stage.user, log(platform, n)).await.unwrap();
    }
    for (order, expected) in [
        (Order::NewestFirst, [6, 4, 2, 0]),
        (Order::OldestFirst, [0, 2, 4, 6]),
    ] {
        let mut seen = Vec::new();
        let mut request = PageRequest::first(3).order(order);
        loop {
            let page = logs
                .list(stage.user, Some(Platform::KDP), request)
                .await
                .unwrap();
            seen.extend(page.items.iter().map(|log| log.records_synced));
            let Some(next) = page.next else { break };
            // As a client sends it back.
            let next = next.to_string().parse().unwrap();
            request = PageRequest::first(3).order(order).after(next);
        }
        assert_eq!(seen, expected);
    }
    let foreign = PageRequest::first(3).after(crate::Cursor::behind(stage.user));
    let error = logs.list(stage.user, None, foreign).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "cursor"),
        "{error}"
    );
}

pub async fn nul_in_a_message_is_invalid(stage: Stage<'_>) {
    let logs = stage.store.sync_logs();
    let mut bad = log(Platform::KDP, 1);
    bad.error_message = Some("a\0b".to_owned());
    let error = logs.create(stage.user, bad).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "error_message"),
        "{error}"
    );
    let page = logs
        .list(stage.user, None, PageRequest::first(3))
        .await
        .unwrap();
    assert!(page.items.is_empty());
}
