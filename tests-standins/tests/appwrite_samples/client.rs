use std::fmt::Write;

use serde_json::Value;
use tests_standins::appwrite::Appwrite;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) struct Server {
    pub(crate) stand_in: Appwrite,
}

pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) cookies: Vec<String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(found, value)| (found == name).then_some(value.as_str()))
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self {
            stand_in: Appwrite::lenient().await,
        }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> &str {
        let address = self.stand_in.address();
        let address = address.strip_prefix("http://").unwrap();
        address.split('/').next().unwrap()
    }

    /// Sends a request as it is, byte by byte.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> Answer {
        let host = self.host();
        let mut request = format!("{method} /v1{path} HTTP/1.1\r\nhost: {host}\r\n");
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        let length = body.len();
        write!(
            request,
            "connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let cookies = headers.iter().filter(|(name, _)| name == "set-cookie");
        Answer {
            status: status.parse().unwrap(),
            cookies: cookies.map(|(_, value)| value.clone()).collect(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
            headers,
        }
    }
}
