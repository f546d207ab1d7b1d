use std::{sync::Arc, time::Duration};

use authorstack_core::{AuthId, Error, Result, resilience::with_deadline};
use authorstack_http::HttpSettings;
use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::USER_AGENT},
        protocol::WebSocketConfig,
    },
};
use url::{Host, Url};

use super::message::Heard;

/// The largest message. A row holds less.
const MOST_BYTES: usize = 4 << 20;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection, with the login taken.
pub(super) struct Connection {
    socket: WebSocketStream<Box<dyn Stream>>,
    account: AuthId,
    heartbeat: Duration,
    send_limit: Duration,
    /// When the next heartbeat is due, and when silence has lasted too long.
    beat_at: Instant,
    silent_at: Instant,
}

/// Where to connect, and as whom.
pub(super) struct Login<'l> {
    pub(super) project: &'l str,
    pub(super) channels: &'l [String],
    pub(super) jwt: &'l str,
    pub(super) account: &'l AuthId,
    pub(super) heartbeat: Duration,
}

fn broken(error: &tungstenite::Error) -> Error {
    // Its text could repeat an address with a query, or a header.
    let problem = match error {
        tungstenite::Error::Http(answer) => {
            return Error::unavailable(format!("Realtime answered {}", answer.status()));
        }
        tungstenite::Error::Io(error) => {
            return Error::unavailable(format!("Realtime broke off: {}", error.kind()));
        }
        tungstenite::Error::Capacity(_) => "sent a message that is too large",
        tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) => "broke the protocol",
        _ => "is closed",
    };
    Error::unavailable(format!("Realtime {problem}"))
}

impl Connection {
    /// Opens a connection, and waits until the server says as whom.
    pub(super) async fn open(settings: &HttpSettings, login: &Login<'_>) -> Result<Self> {
        let limit = settings.connect_limit() + settings.attempt_limit();
        let open = with_deadline(limit, Self::connect(settings, login));
        let mut connection = open.await?;
        match with_deadline(settings.attempt_limit(), connection.first()).await? {
            Heard::Connected { is_own: true } => Ok(connection),
            Heard::Connected { is_own: false } => Err(Error::unavailable(
                "Realtime did not take the login, and would tell of public rows alone",
            )),
            Heard::Refused(code) => Err(Error::unavailable(format!(
                "Realtime refused the connection (code {code})"
            ))),
            _ => Err(Error::unavailable("Realtime did not say who is connected")),
        }
    }

    async fn connect(settings: &HttpSettings, login: &Login<'_>) -> Result<Self> {
        let base = settings.base();
        let (host, port) = (base.host(), base.port_or_known_default());
        let (Some(host), Some(port)) = (host, port) else {
            return Err(Error::internal("an address without a host"));
        };
        let name = match host {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        let failed = |error: std::io::Error| {
            Error::unavailable(format!(
                "no connection to Realtime could be opened: {}",
                error.kind()
            ))
        };
        let connect = TcpStream::connect((name.as_str(), port));
        let stream = timeout(settings.connect_limit(), connect).await;
        let stream = stream.map_err(|_| Error::timeout(settings.connect_limit()))?;
        let stream = stream.map_err(failed)?;
        let stream: Box<dyn Stream> = if base.scheme() == "https" {
            let server = ServerName::try_from(name);
            let server = server.map_err(|_| Error::internal("a host without a name"))?;
            let connector = TlsConnector::from(Arc::new(settings.tls()?));
            Box::new(connector.connect(server, stream).await.map_err(failed)?)
        } else {
            Box::new(stream)
        };
        let address = address(base, login);
        let request = address.as_str().into_client_request();
        let mut request = request.map_err(|error| broken(&error))?;
        let jwt = HeaderValue::from_str(login.jwt);
        let mut jwt = jwt.map_err(|_| Error::internal("a JWT that cannot be in a header"))?;
        jwt.set_sensitive(true);
        request.headers_mut().insert("x-appwrite-jwt", jwt);
        let agent = HeaderValue::from_static(concat!("authorstack/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, agent);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MOST_BYTES))
            .max_frame_size(Some(MOST_BYTES));
        let opened = client_async_with_config(request, stream, Some(config)).await;
        let (socket, _) = opened.map_err(|error| broken(&error))?;
        let now = Instant::now();
        Ok(Self {
            socket,
            account: login.account.clone(),
            heartbeat: login.heartbeat,
            send_limit: settings.attempt_limit(),
            beat_at: now + login.heartbeat,
            silent_at: now + 2 * login.heartbeat,
        })
    }

    async fn first(&mut self) -> Result<Heard> {
        self.heard().await
    }

    /// The next message of the server.
    async fn heard(&mut self) -> Result<Heard> {
        loop {
            let message = self.socket.next().await;
            let message = message.ok_or_else(|| Error::unavailable("Realtime is closed"))?;
            let message = message.map_err(|error| broken(&error))?;
            self.silent_at = Instant::now() + 2 * self.heartbeat;
            match message {
                Message::Text(text) => return Ok(Heard::read(&text, &self.account)),
                Message::Close(_) => return Err(Error::unavailable("Realtime is closed")),
                _ => {}
            }
        }
    }

    /// Waits until something of the account has changed, with heartbeats meanwhile.
    pub(super) async fn changed(&mut self) -> Result<()> {
        loop {
            let next = self.beat_at.min(self.silent_at);
            match tokio::time::timeout_at(next, self.heard()).await {
                Ok(heard) => match heard? {
                    Heard::Change => return Ok(()),
                    // 1003 is the answer to a message that this version does not know.
                    Heard::Refused(code) if code != 1003 => {
                        return Err(Error::unavailable(format!(
                            "Realtime refused the connection (code {code})"
                        )));
                    }
                    _ => {}
                },
                Err(_) if Instant::now() >= self.silent_at => {
                    return Err(Error::unavailable("Realtime is silent"));
                }
                Err(_) => {
                    self.beat_at = Instant::now() + self.heartbeat;
                    let ping = self.socket.send(Message::text("{\"type\":\"ping\"}"));
                    let sent = timeout(self.send_limit, ping).await;
                    let sent = sent.map_err(|_| Error::timeout(self.send_limit))?;
                    sent.map_err(|error| broken(&error))?;
                }
            }
        }
    }
}

fn address(base: &Url, login: &Login<'_>) -> String {
    let scheme = if base.scheme() == "https" {
        "wss"
    } else {
        "ws"
    };
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push("realtime");
    }
    url.query_pairs_mut().append_pair("project", login.project);
    for channel in login.channels {
        url.query_pairs_mut().append_pair("channels[]", channel);
    }
    // `Url` refuses to change the scheme of a web address.
    let rest = url.as_str().split_once(':').map_or("", |(_, rest)| rest);
    format!("{scheme}:{rest}")
}
