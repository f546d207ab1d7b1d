use std::{fmt::Write, fs, path::Path};

use serde_json::{Map, Value, json};
use tests_standins::appwrite::Appwrite;

use super::client::{Answer, Server};

/// What a caller without a key has sent.
const AS_GUEST: [&str; 8] = [
    "err-401-nokey",
    "account-get",
    "err-jwt-dead",
    "err-jwt-invalid",
    "err-mfa",
    "err-blocked",
    "err-row-guest",
    "err-401-badkey",
];

/// Samples whose answer was cut, or counts what other tests have made.
const CUT: [&str; 2] = ["rows-bulk", "rows-select"];

/// Answers held against those of a real server.
pub(crate) struct Replay {
    pub(crate) server: Server,
}

impl Replay {
    pub(crate) async fn start() -> Self {
        Self {
            server: Server::start().await,
        }
    }

    pub(crate) fn sample(name: &str) -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("appwrite/samples");
        let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a request with the key, which must succeed.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let headers = Self::headers(&Map::new(), true);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.server.send(method, path, &headers, &body).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
        answer.body
    }

    pub(crate) async fn as_guest(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = Self::headers(&Map::new(), false);
        self.server
            .send(method, path, &headers, &body.to_string())
            .await
    }

    fn headers(given: &Map<String, Value>, has_key: bool) -> Vec<(String, String)> {
        let given = given.iter();
        let mut headers: Vec<(String, String)> = given
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        if headers.is_empty() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
            let project = Appwrite::PROJECT.to_owned();
            headers.push(("X-Appwrite-Project".to_owned(), project));
        }
        if has_key {
            headers.push(("X-Appwrite-Key".to_owned(), Appwrite::KEY.to_owned()));
        }
        headers
    }

    /// Replays a sample; the answer must be the same.
    pub(crate) async fn same(&self, name: &str) -> Value {
        self.compare(name, &Self::sample(name)).await
    }

    /// Replays a sample whose body was cut, with a whole one.
    pub(crate) async fn same_with(&self, name: &str, body: Value) -> Value {
        let mut sample = Self::sample(name);
        sample["request"]["body"] = body;
        self.compare(name, &sample).await
    }

    /// Replays a sample with a login of this server.
    pub(crate) async fn same_as(&self, name: &str, header: &str, value: &str) -> Value {
        let mut sample = Self::sample(name);
        sample["request"]["headers"][header] = value.into();
        self.compare(name, &sample).await
    }

    /// The answer to a sample's request.
    pub(crate) async fn answer(&self, name: &str) -> Answer {
        self.answer_to(name, &Self::sample(name)).await
    }

    async fn answer_to(&self, name: &str, sample: &Value) -> Answer {
        let request = &sample["request"];
        let is_sign_in = name.starts_with("signin-") || name.starts_with("err-signin-");
        let has_key = name == "signin-with-key" || !(is_sign_in || AS_GUEST.contains(&name));
        let mut headers = Self::headers(request["headers"].as_object().unwrap(), has_key);
        if name == "err-401-badkey" {
            headers.push(("X-Appwrite-Key".to_owned(), "wrong".to_owned()));
        }
        let mut path = request["path"].as_str().unwrap().to_owned();
        for (number, query) in request["queries"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let sign = if number == 0 { '?' } else { '&' };
            let query = query.to_string();
            let escaped = query.bytes().fold(String::new(), |mut text, byte| {
                write!(text, "%{byte:02X}").unwrap();
                text
            });
            write!(path, "{sign}queries[]={escaped}").unwrap();
        }
        let body = match &request["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        let method = request["method"].as_str().unwrap();
        self.server.send(method, &path, &headers, &body).await
    }

    async fn compare(&self, name: &str, sample: &Value) -> Value {
        let answer = self.answer_to(name, sample).await;
        assert_eq!(sample["status"], answer.status, "{name}: {}", answer.body);
        let (mut ours, mut theirs) = (plain(&answer.body), plain(&sample["body"]));
        if CUT.contains(&name) {
            for side in [&mut ours, &mut theirs] {
                side["total"] = "<counted>".into();
                let rows = side["rows"].as_array_mut().unwrap();
                rows.truncate(3);
            }
        }
        assert_eq!(ours, theirs, "{name}");
        for header in ["x-ratelimit-limit", "x-ratelimit-remaining"] {
            let expected = sample["headers"].get(header).and_then(Value::as_str);
            assert_eq!(answer.header(header), expected, "{name} {header}");
        }
        let reset = sample["headers"].get("x-ratelimit-reset");
        assert_eq!(
            answer.header("x-ratelimit-reset").is_some(),
            reset.is_some()
        );
        let names = |cookies: Vec<&str>| -> Vec<String> {
            let name = |cookie: &str| cookie.split('=').next().unwrap().to_owned();
            cookies.into_iter().map(name).collect()
        };
        let theirs = sample["cookies"].as_array().unwrap();
        let theirs = names(theirs.iter().map(|it| it.as_str().unwrap()).collect());
        let ours = names(answer.cookies.iter().map(String::as_str).collect());
        assert_eq!(ours, theirs, "{name}");
        answer.body
    }
}

/// A value without what differs each time: moments, made ids, secrets, the client.
pub(crate) fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map
                .iter()
                .map(|(name, value)| (name.clone(), field(name, value)));
            fields.collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().into(),
        Value::String(text) => text_of(text),
        other => other.clone(),
    }
}

fn field(name: &str, value: &Value) -> Value {
    let is_filled = value.as_str().is_some_and(|text| !text.is_empty());
    match name {
        "secret" | "jwt" | "random_state" if is_filled => {
            json!(format!("<{name}>"))
        }
        "$sequence"
        | "ip"
        | "clientName"
        | "clientVersion"
        | "bytesUsed"
        | "providerAccessTokenExpiry"
        | "providerRefreshToken" => json!(format!("<{name}>")),
        _ => plain(value),
    }
}

fn text_of(text: &str) -> Value {
    let is_date = text.len() > 20 && text.starts_with("20") && text.as_bytes()[4] == b'-';
    let is_id = text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // The form of a date is compared, and so is the sort of a hash.
    match text {
        _ if is_date => {
            let digits = text
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c });
            json!(digits.collect::<String>())
        }
        _ if is_id => json!("<id>"),
        text if text.starts_with("$argon2id$v=19$m=") => json!("<argon2>"),
        text => json!(text),
    }
}
