//! The one thing that is asked of the network: the bytes of a file, from a place in it on.

use crate::pull::PullSettings;
#[cfg(not(feature = "pull"))]
use packshot_core::Error;
use packshot_core::Result;
use std::io::Read;

/// What a server answered.
pub(crate) struct Reply {
    /// HTTP status.
    pub(crate) status: u16,
    /// Bytes that follow, where it says so.
    pub(crate) length: Option<u64>,
    /// `Content-Range`.
    pub(crate) range: Option<String>,
    /// The server's name for this version of the file, good for `If-Range`.
    pub(crate) version: Option<String>,
    pub(crate) body: Box<dyn Read>,
}

#[cfg(feature = "pull")]
pub(crate) struct Client(ureq::Agent);

#[cfg(feature = "pull")]
impl Client {
    pub(crate) fn new(settings: &PullSettings) -> Result<Self> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("packshot/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_connect(Some(settings.timeout))
            .timeout_recv_response(Some(settings.timeout))
            .timeout_per_read(Some(settings.timeout));
        if !settings.system_proxy {
            config = config.proxy(None);
        }
        Ok(Self(config.build().new_agent()))
    }

    /// Asks for the bytes of `url` from `start` on; from the first one on when the file is no
    /// longer `version`.
    pub(crate) fn get(
        &self,
        url: &str,
        start: u64,
        version: Option<&str>,
    ) -> Result<Reply, String> {
        let mut request = self.0.get(url);
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
            if let Some(version) = version {
                request = request.header("If-Range", version);
            }
        }
        let response = request.call().map_err(|e| e.to_string())?;
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        Ok(Reply {
            status: response.status().as_u16(),
            length: header("content-length").and_then(|v| v.parse().ok()),
            range: header("content-range"),
            // Weak tags do not promise the same bytes.
            version: header("etag")
                .filter(|tag| !tag.starts_with("W/"))
                .or_else(|| header("last-modified")),
            body: Box::new(response.into_body().into_reader()),
        })
    }
}

/// A build without network.
#[cfg(not(feature = "pull"))]
pub(crate) enum Client {}

#[cfg(not(feature = "pull"))]
impl Client {
    pub(crate) fn new(_: &PullSettings) -> Result<Self> {
        Err(
            Error::unsupported("this build of packshot cannot use the network").with_hint(
                "`packshot models show NAME` says where the file comes from and where it belongs",
            ),
        )
    }

    pub(crate) fn get(&self, _: &str, _: u64, _: Option<&str>) -> Result<Reply, String> {
        match *self {}
    }
}
