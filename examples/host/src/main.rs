//! The host as a program.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use authorstack_host::{
    app::App,
    backend, demo, router,
    settings::{Backend, Settings},
    work,
};
use tokio::{net::TcpListener, signal};
use tracing_subscriber::EnvFilter;

/// How long requests and jobs that have begun may take once the host is to stop.
const DRAIN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();

    let settings = Settings::read().await?;
    let app = App::new(backend::open(&settings).await?, &settings)?;
    let is_demo = settings.backend()? == Backend::Memory;
    if is_demo {
        demo::fill(&app).await?;
    }
    let listener = TcpListener::bind(settings.listen()).await;
    let listener = listener.with_context(|| format!("listening on {}", settings.listen()))?;
    let worker = work::start(&app).await?;
    let address = listener.local_addr()?;
    println!("http://{address}  (the API to try: http://{address}/docs)");
    if is_demo {
        println!("sign in as {} with \"{}\"", demo::ADA, demo::PASSWORD);
    }

    let service = router(&app, &settings).into_make_service_with_connect_info::<SocketAddr>();
    let closing = app.clone();
    let serve = axum::serve(listener, service).with_graceful_shutdown(async move {
        stopped().await;
        tracing::info!("stopping");
        closing.close();
    });
    let drained = async {
        app.closing().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = serve.into_future() => served?,
        () = drained => tracing::warn!("requests were cut off"),
    }
    let report = worker.shutdown(DRAIN).await?;
    tracing::info!(?report, "stopped");
    Ok(())
}

/// Waits for Ctrl-C, or for what ends a container.
async fn stopped() {
    let interrupt = async {
        // Without handlers, the signals end the process at once.
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
