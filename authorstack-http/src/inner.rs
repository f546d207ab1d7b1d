use crate::settings::HttpSettings;

/// What a client and its requests share.
pub(crate) struct Inner {
    pub(crate) settings: HttpSettings,
    pub(crate) client: reqwest::Client,
}
