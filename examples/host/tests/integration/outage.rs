//! A store that is cut off, and comes back.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};
use url::Url;

use crate::{client::Client, stage::Stage};

/// What stands between a host and a store.
#[derive(Clone, Default)]
struct Wire {
    is_cut: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Wire {
    /// The address of the store through the wire.
    async fn lead_to(&self, store: String) -> String {
        let mut url: Url = store.parse().unwrap();
        let to = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port()))
            .unwrap();
        let wire = self.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if wire.is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let to = to.clone();
                let connection = tokio::spawn(async move {
                    let mut far = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
                wire.connections.lock().unwrap().push(connection);
            }
        });
        url.into()
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_told_and_the_host_recovers() {
    let wire = Wire::default();
    let stage = Stage::supabase_at(async |url| wire.lead_to(url).await).await;
    stage
        .run(async |stage| lose_and_find(stage, &wire).await)
        .await;
}

async fn lose_and_find(stage: &Stage, wire: &Wire) {
    let ada = stage.user("Ada").await;
    ada.get("/api/books").await.of(200);

    wire.cut();
    // Many at once: none waits for longer than the host's deadline.
    let asked = (0..100).map(|_| refused(&ada));
    let asked = futures::future::join_all(asked);
    timeout(Duration::from_mins(1), asked).await.unwrap();
    let ready = stage.nobody().get("/readyz").await.of(503);
    assert_eq!(
        (&ready["stores"][0]["name"], &ready["stores"][0]["ready"]),
        (&"Supabase".into(), &false.into())
    );
    assert_eq!(stage.nobody().get("/livez").await.status, 200);

    wire.mend();
    let back = async {
        while ada.get("/api/books").await.status != 200 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_mins(1), back).await.unwrap();
    stage.nobody().get("/readyz").await.of(200);
}

async fn refused(client: &Client) {
    let answer = client.get("/api/books").await;
    assert_ne!(answer.header("retry-after"), "");
    answer.problem(503, "unavailable");
}
