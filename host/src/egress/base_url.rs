//! The one place requests of a source may go to.
//!
//! ```
//! use reverse_sync::egress::base_url::BaseUrl;
//!
//! assert!(BaseUrl::parse("https://acme.my.salesforce.com", false).is_ok());
//! assert!(BaseUrl::parse("http://acme.my.salesforce.com", false).is_err());
//! ```

use super::addresses::Reach;
use http::{Uri, uri::Scheme};
use std::{fmt, net::IpAddr};

/// Scheme, authority and path prefix of a source's CRM. `https`, or plain `http` to this machine
/// only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    scheme: Scheme,
    authority: String,
    prefix: String,
    reach: Reach,
}

/// A base URL that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key} `{url}`: {reason}")]
pub struct BadBaseUrl {
    key: &'static str,
    url: String,
    reason: &'static str,
}

impl BadBaseUrl {
    pub(super) fn unparsable(key: &'static str, url: &str) -> BadBaseUrl {
        BadBaseUrl {
            key,
            url: url.chars().take(200).collect(),
            reason: "not a URL; expected something like https://api.hubapi.com",
        }
    }
}

impl BaseUrl {
    /// Parses a base URL such as `https://api.hubapi.com`. `private_network` lets its name resolve
    /// to addresses of a private network.
    ///
    /// # Errors
    /// Anything but `https`, or `http` to a loopback address; user information, a query or a
    /// fragment.
    pub fn parse(url: &str, private_network: bool) -> Result<BaseUrl, BadBaseUrl> {
        BaseUrl::parse_as("base_url", url, private_network)
    }

    /// The same for another key of the configuration, which errors name.
    pub(super) fn parse_as(
        key: &'static str,
        url: &str,
        private_network: bool,
    ) -> Result<BaseUrl, BadBaseUrl> {
        let fail = |reason| BadBaseUrl { key, url: url.chars().take(200).collect(), reason };
        let uri: Uri = url.parse().map_err(|_| BadBaseUrl::unparsable(key, url))?;
        let scheme = uri.scheme().cloned().ok_or_else(|| fail("has no scheme; write https://…"))?;
        let authority = uri.authority().ok_or_else(|| fail("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(BadBaseUrl {
                key,
                url: "…@…".to_owned(),
                reason: "carries user information; a credential belongs in access_token or oauth",
            });
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(fail("has a query or a fragment"));
        }
        let host = authority.host().trim_matches(['[', ']']);
        let address: Option<IpAddr> = host.parse().ok();
        let loopback = host.eq_ignore_ascii_case("localhost")
            || address.is_some_and(|address| Reach::Loopback.allows(address));
        let reach = match (loopback, private_network) {
            (true, _) => Reach::Loopback,
            (false, true) => Reach::PrivateToo,
            (false, false) => Reach::Public,
        };
        if scheme == Scheme::HTTP && !loopback {
            return Err(fail(
                "plain http would send the credential in the clear; it is accepted for loopback addresses only, use https",
            ));
        }
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(fail("neither http nor https"));
        }
        if address.is_some_and(|address| !reach.allows(address)) {
            return Err(fail(
                "is an address of a private or special network; if the CRM really lives there, set allow_private_network = true for this source",
            ));
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        let text = format!("{scheme}://{authority}{prefix}");
        Ok(BaseUrl {
            text,
            scheme,
            authority: authority.as_str().to_ascii_lowercase(),
            prefix,
            reach,
        })
    }

    /// Without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host's name or address, in lower case.
    pub(crate) fn host(&self) -> &str {
        let host =
            self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, port)| {
                // The colons of an address in brackets are none of a port.
                if port.bytes().all(|b| b.is_ascii_digit()) { host } else { &self.authority }
            });
        host.trim_matches(['[', ']'])
    }

    /// Whether requests go below a path of it.
    pub(crate) fn has_path(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// The addresses its name may resolve to.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The path below the base URL, if the URI is below it at all.
    pub(crate) fn below<'a>(&self, uri: &'a Uri) -> Option<&'a str> {
        let same = uri.scheme() == Some(&self.scheme)
            && uri
                .authority()
                .is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(&self.authority));
        if !same {
            return None;
        }
        uri.path().strip_prefix(self.prefix.as_str()).filter(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_and_what_is_not() {
        for good in [
            "https://api.hubapi.com",
            "https://acme.my.salesforce.com/",
            "http://127.0.0.1:8099",
            "http://localhost:80/x",
            "http://[::1]:80",
        ] {
            assert!(BaseUrl::parse(good, false).is_ok(), "{good}");
        }
        for bad in [
            "api.hubapi.com",
            "http://api.hubapi.com",
            "ftp://x",
            "https://u:p@x",
            "https://x?y",
            "https://10.0.0.1",
            "https://169.254.169.254",
            "http://192.168.0.1",
        ] {
            assert!(BaseUrl::parse(bad, false).is_err(), "{bad}");
        }
        assert!(BaseUrl::parse("https://10.0.0.1", true).is_ok());
        assert!(
            !BaseUrl::parse("https://user:hunter2@x", false)
                .unwrap_err()
                .to_string()
                .contains("hunter2")
        );
    }

    #[test]
    fn a_host_has_no_port() {
        for (url, host) in [
            ("https://API.example:443/x", "api.example"),
            ("http://[::1]:80", "::1"),
            ("http://[::1]", "::1"),
            ("https://a.b", "a.b"),
        ] {
            assert_eq!(BaseUrl::parse(url, false).unwrap().host(), host, "{url}");
        }
    }

    #[test]
    fn only_what_is_below_is_below() {
        let base = BaseUrl::parse("http://127.0.0.1:80/crm", false).unwrap();
        let below = |text: &str| base.below(&text.parse().unwrap()).map(str::to_owned);
        assert_eq!(below("http://127.0.0.1:80/crm/v3/x"), Some("/v3/x".to_owned()));
        for other in [
            "http://127.0.0.1:81/crm/v3",
            "https://127.0.0.1:80/crm/v3",
            "http://127.0.0.1:80/crmx/v3",
            "http://evil/crm/v3",
        ] {
            assert_eq!(below(other), None, "{other}");
        }
    }
}
