//! Proxies between a host and its stores, which can be slow, stuck or cut.

use std::{
    collections::BTreeMap,
    io,
    net::TcpListener as Listener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::{Builder, Handle, Runtime},
    sync::watch,
    time::sleep,
};
use url::Url;

/// What a wire does with the bytes that it gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    Open,
    /// Each portion takes this long.
    Slow(Duration),
    /// Connections live, and nothing passes.
    Stuck,
    /// Connections end, and new ones end at once.
    Cut,
}

/// What stands between a host and one store.
#[derive(Clone)]
pub(crate) struct Wire {
    state: watch::Sender<State>,
    open: Arc<AtomicUsize>,
}

impl Wire {
    pub(crate) fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    async fn carry(&self, near: TcpStream, to: &str) -> io::Result<()> {
        let mut state = self.state.subscribe();
        let now = *state.borrow_and_update();
        if now == State::Cut {
            return Ok(());
        }
        let far = TcpStream::connect(to).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let (near, far) = (near.into_split(), far.into_split());
        let both = async { tokio::try_join!(self.pass(near.0, far.1), self.pass(far.0, near.1)) };
        tokio::select! {
            passed = both => passed.map(drop),
            _ = state.wait_for(|state| *state == State::Cut) => Ok(()),
        }
    }

    async fn pass(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut state = self.state.subscribe();
        let mut portion = vec![0; 1 << 16];
        loop {
            let read = from.read(&mut portion).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            let now = *state.borrow_and_update();
            if let State::Slow(pause) = now {
                sleep(pause).await;
            }
            // The sender lives as long as the wire.
            drop(state.wait_for(|state| *state != State::Stuck).await);
            to.write_all(&portion[..read]).await?;
        }
    }
}

/// The wires of a host, by the setting that holds the store's address. They run on a runtime of their
/// own: what a test counts on its runtime is the host's.
pub(crate) struct Wires {
    runtime: Option<Runtime>,
    wires: BTreeMap<&'static str, Wire>,
}

impl Wires {
    pub(crate) fn new() -> Self {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all();
        Self {
            runtime: Some(runtime.build().unwrap()),
            wires: BTreeMap::new(),
        }
    }

    fn handle(&self) -> &Handle {
        self.runtime.as_ref().unwrap().handle()
    }

    /// The address of a store through a wire of its own.
    pub(crate) fn lead(&mut self, setting: &'static str, store: &str) -> String {
        let mut url: Url = store.parse().unwrap();
        let to = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port()))
            .unwrap();
        if setting == "mongodb_url" {
            // The driver must not go on to the addresses that the server gives.
            let kept = url.query_pairs().into_owned();
            let kept = kept.filter(|(name, _)| name != "replicaSet" && name != "directConnection");
            let kept: Vec<_> = kept.collect();
            url.query_pairs_mut()
                .clear()
                .extend_pairs(kept)
                .append_pair("directConnection", "true");
        }
        let wire = Wire {
            state: watch::Sender::new(State::Open),
            open: Arc::default(),
        };
        self.wires.insert(setting, wire.clone());
        self.handle().spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((near, _)) = listener.accept().await {
                let (wire, to) = (wire.clone(), to.clone());
                tokio::spawn(async move {
                    wire.open.fetch_add(1, Ordering::SeqCst);
                    // What a broken connection means is for the host to say.
                    drop(wire.carry(near, &to).await);
                    wire.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        url.into()
    }

    pub(crate) fn of(&self, setting: &str) -> &Wire {
        &self.wires[setting]
    }

    pub(crate) fn settings(&self) -> impl Iterator<Item = &'static str> {
        self.wires.keys().copied()
    }

    pub(crate) fn set_all(&self, state: State) {
        self.wires.values().for_each(|wire| wire.set(state));
    }

    /// How many connections there are, by setting.
    pub(crate) fn open(&self) -> BTreeMap<&'static str, usize> {
        let open = self.wires.iter();
        open.map(|(setting, wire)| (*setting, wire.open()))
            .collect()
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
