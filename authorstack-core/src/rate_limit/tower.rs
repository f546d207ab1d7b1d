//! Rate limits around an HTTP service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::{decision::Decision, headers::RateLimitHeaders, limiter::RateLimiter};
use crate::{Error, ErrorKind};

/// Whom a request counts for, and how much. `None` lets it pass uncounted.
type Subject<B> = Arc<dyn Fn(&Request<B>) -> Option<(String, u32)> + Send + Sync>;

/// A tower layer that counts requests.
///
/// Responses get the fields of [`RateLimitHeaders`]. A request above the limit is answered with
/// status 429 and `Retry-After`. Where the limiter fails
/// ([`OnFailure::Closed`](super::OnFailure::Closed)) the answer is 503; with a cost above the limit
/// it is 400.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use authorstack_core::rate_limit::{MemoryRateLimiter, RateLimit, RateLimitLayer};
///
/// let limit = RateLimit::smooth(100, Duration::from_secs(60))?;
/// let limiter = Arc::new(MemoryRateLimiter::new(limit));
/// let layer = RateLimitLayer::new("default", limiter, |request: &http::Request<()>| {
///     let user = request.headers().get("x-user")?.to_str().ok()?;
///     Some((user.to_owned(), 1))
/// });
/// # let _ = layer;
/// # Ok::<(), authorstack_core::Error>(())
/// ```
pub struct RateLimitLayer<B> {
    shared: Shared<B>,
}

struct Shared<B> {
    policy: Arc<str>,
    limiter: Arc<dyn RateLimiter>,
    subject: Subject<B>,
}

impl<B> Clone for Shared<B> {
    fn clone(&self) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
            limiter: Arc::clone(&self.limiter),
            subject: Arc::clone(&self.subject),
        }
    }
}

impl<B> Clone for RateLimitLayer<B> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<B> fmt::Debug for RateLimitLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("policy", &self.shared.policy)
            .field("limiter", &self.shared.limiter)
            .finish_non_exhaustive()
    }
}

impl<B> RateLimitLayer<B> {
    /// A layer with the policy's name for the response, a limiter, and what tells whom a request
    /// counts for and how much.
    pub fn new(
        policy: &str,
        limiter: Arc<dyn RateLimiter>,
        subject: impl Fn(&Request<B>) -> Option<(String, u32)> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Shared {
                policy: policy.into(),
                limiter,
                subject: Arc::new(subject),
            },
        }
    }
}

impl<S, B> Layer<S> for RateLimitLayer<B> {
    type Service = RateLimitService<S, B>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService {
            inner,
            shared: self.shared.clone(),
        }
    }
}

/// A service whose requests are counted; [`RateLimitLayer`] makes it.
pub struct RateLimitService<S, B> {
    inner: S,
    shared: Shared<B>,
}

impl<S: Clone, B> Clone for RateLimitService<S, B> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S, B> fmt::Debug for RateLimitService<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitService")
            .field("policy", &self.shared.policy)
            .finish_non_exhaustive()
    }
}

/// The answer of a [`RateLimitService`].
pub type RateLimitedFuture<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

/// Why a request was refused: in the extensions of the response, for a host that writes the body.
#[derive(Debug, Clone)]
pub struct RateLimited {
    /// What the limiter decided, if it could.
    pub decision: Option<Decision>,
    /// The error for the client: its kind, and a message without anything of the inside.
    pub error: Arc<Error>,
}

impl<S, B, R> Service<Request<B>> for RateLimitService<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default + Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = RateLimitedFuture<Response<R>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready goes, its clone stays.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let shared = self.shared.clone();
        Box::pin(async move {
            let Some((subject, cost)) = (shared.subject)(&request) else {
                return inner.call(request).await;
            };
            let decision = match shared.limiter.check(&subject, cost).await {
                Ok(decision) => decision,
                Err(error) => return Ok(refused(None, error)),
            };
            let mut response = match decision.into_result() {
                Ok(_) => inner.call(request).await?,
                Err(error) => refused(Some(decision), error),
            };
            let limit = shared.limiter.limit();
            let headers = RateLimitHeaders::new(&shared.policy, &limit, &decision);
            for (name, value) in headers.iter() {
                if let Ok(value) = HeaderValue::from_str(value) {
                    response
                        .headers_mut()
                        .insert(HeaderName::from_static(name), value);
                }
            }
            Ok(response)
        })
    }
}

fn refused<R: Default>(decision: Option<Decision>, error: Error) -> Response<R> {
    let status = match error.kind() {
        ErrorKind::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Invalid { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = Response::new(R::default());
    *response.status_mut() = status;
    response.extensions_mut().insert(RateLimited {
        decision,
        error: Arc::new(error),
    });
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use std::{convert::Infallible, time::Duration};

    use super::*;
    use crate::rate_limit::{limit::RateLimit, memory::MemoryRateLimiter};

    #[derive(Debug, Clone)]
    struct Hello;

    impl Service<Request<()>> for Hello {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::ready(Ok(Response::new("hello".to_owned())))
        }
    }

    #[tokio::test]
    async fn requests_above_the_limit_get_429_and_the_fields() {
        let limit = RateLimit::window(2, Duration::from_secs(60)).unwrap();
        let limiter = Arc::new(MemoryRateLimiter::new(limit));
        let layer = RateLimitLayer::new("default", limiter, |request: &Request<()>| {
            let user = request.headers().get("x-user")?.to_str().ok()?;
            Some((user.to_owned(), request.uri().path().len().try_into().ok()?))
        });
        let mut service = layer.layer(Hello);
        let mut get = async |path: &str, user: Option<&str>| {
            let mut request = Request::builder().uri(path);
            if let Some(user) = user {
                request = request.header("x-user", user);
            }
            service.call(request.body(()).unwrap()).await.unwrap()
        };
        let field = |response: &Response<String>, name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };

        for left in ["1", "0"] {
            let response = get("/", Some("ada")).await;
            assert_eq!(
                (response.status(), response.body().as_str()),
                (StatusCode::OK, "hello")
            );
            let policy = field(&response, "ratelimit-policy");
            assert_eq!(policy.as_deref(), Some("\"default\";q=2;w=60"));
            let rest = field(&response, "ratelimit").unwrap();
            assert!(
                rest.starts_with(&format!("\"default\";r={left};t=60")),
                "{rest}"
            );
            assert_eq!(field(&response, "retry-after"), None);
        }
        let response = get("/", Some("ada")).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(field(&response, "retry-after").as_deref(), Some("60"));
        let why = response.extensions().get::<RateLimited>().unwrap();
        assert_eq!(why.error.kind().code(), "rate_limited");

        assert_eq!(get("/", Some("bob")).await.status(), StatusCode::OK);
        assert_eq!(get("/", None).await.status(), StatusCode::OK);
        assert_eq!(
            get("/ab", Some("eve")).await.status(),
            StatusCode::BAD_REQUEST
        );
    }
}
