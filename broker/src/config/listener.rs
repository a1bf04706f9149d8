//! Where the broker listens and whom it knows: addresses, listeners, voters.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thalweg_protocol::BrokerId;

use super::setting::{Raw, Value};

/// A host and a port: `127.0.0.1:9092`, `broker-1.example:9092`, `[::1]:9092`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not HOST:PORT")]
pub struct AddressError(pub String);

impl Address {
    /// This host and port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || AddressError(text.to_owned());
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let host = inner.parse::<Ipv6Addr>().map_err(|_| bad())?.to_string();
            return Ok(Self { host, port });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || !host.chars().all(allowed) {
            return Err(bad());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Which protocols a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Both: the first bytes of a connection tell.
    #[default]
    Auto,
    /// Thalweg's own only.
    Native,
    /// Kafka's only.
    Kafka,
}

impl Protocol {
    const NAMES: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("native", Self::Native), ("kafka", Self::Kafka)];

    fn named(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, protocol)| *protocol)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Kafka => "kafka",
        })
    }
}

/// One socket that takes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens; port 0 takes a free one.
    pub address: Address,
    /// What clients are told to connect to; none tells them `address` with the port in use.
    pub advertised: Option<Address>,
    /// What it speaks.
    pub protocol: Protocol,
}

impl Listener {
    /// Both protocols at `address`, advertised as it is.
    pub const fn at(address: Address) -> Self {
        Self { address, advertised: None, protocol: Protocol::Auto }
    }

    /// A table of the file, or `[PROTOCOL://]HOST:PORT[?advertised=HOST:PORT]`.
    fn read_one(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::Table(fields) => {
                let field = |name: &str| fields.iter().find(|(key, ..)| key == name);
                let text = |name: &str| field(name).map(|(.., raw)| raw.text());
                Some(Self {
                    address: text("address")??.parse().ok()?,
                    advertised: match text("advertised") {
                        Some(advertised) => Some(advertised?.parse().ok()?),
                        None => None,
                    },
                    protocol: match text("protocol") {
                        Some(protocol) => Protocol::named(protocol?)?,
                        None => Protocol::Auto,
                    },
                })
            }
            other => {
                let text = other.text()?;
                let (protocol, rest) = match text.split_once("://") {
                    Some((name, rest)) => (Protocol::named(name)?, rest),
                    None => (Protocol::Auto, text),
                };
                let (address, advertised) = match rest.split_once("?advertised=") {
                    Some((address, advertised)) => (address, Some(advertised.parse().ok()?)),
                    None => (rest, None),
                };
                Some(Self { address: address.parse().ok()?, advertised, protocol })
            }
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol != Protocol::Auto {
            write!(f, "{}://", self.protocol)?;
        }
        write!(f, "{}", self.address)?;
        match &self.advertised {
            Some(advertised) => write!(f, "?advertised={advertised}"),
            None => Ok(()),
        }
    }
}

/// A broker that votes on the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Its `node_id`.
    pub id: BrokerId,
    /// Where the other brokers reach it.
    pub address: Address,
}

impl Voter {
    /// `ID@HOST:PORT`, or a table of the file with `id` and `address`.
    fn read_one(raw: &Raw) -> Option<Self> {
        let (id, address) = match raw {
            Raw::Table(fields) => {
                let field = |name: &str| fields.iter().find(|(key, ..)| key == name);
                if fields.len() != 2 {
                    return None;
                }
                let id = i32::try_from(field("id")?.2.integer()?).ok()?;
                (id, field("address")?.2.text()?.parse().ok()?)
            }
            other => {
                let (id, address) = other.text()?.split_once('@')?;
                (id.parse().ok()?, address.parse().ok()?)
            }
        };
        (id >= 0).then(|| Self { id: BrokerId::new(id), address })
    }
}

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.address)
    }
}

fn shown_list<T: fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{:?}", item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

impl Value for Vec<Listener> {
    const FIELDS: &'static [&'static str] = &["address", "advertised", "protocol"];

    fn read(raw: &Raw) -> Option<Self> {
        let listeners: Option<Self> = raw.list()?.iter().map(Listener::read_one).collect();
        listeners.filter(|listeners| !listeners.is_empty())
    }

    fn shown(&self) -> String {
        shown_list(self)
    }
}

impl Value for Vec<Voter> {
    const FIELDS: &'static [&'static str] = &["id", "address"];

    fn read(raw: &Raw) -> Option<Self> {
        raw.list()?.iter().map(Voter::read_one).collect()
    }

    fn shown(&self) -> String {
        shown_list(self)
    }
}

impl Value for Option<Address> {
    fn read(raw: &Raw) -> Option<Self> {
        match raw.text()? {
            "off" => Some(None),
            text => text.parse().ok().map(Some),
        }
    }

    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "\"off\"".to_owned(), |address| format!("\"{address}\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_from_their_text() {
        for good in ["127.0.0.1:9092", "broker-1.example:0", "[::1]:9092", "[fe80::2]:65535"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in ["", "host", "host:", ":9092", "host:65536", "::1:9092", "[x]:1", "a b:1"] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError(bad.to_owned())));
        }
    }

    #[test]
    fn listeners_and_voters_read_back_from_their_text() {
        let text = "127.0.0.1:0, kafka://0.0.0.0:9093?advertised=broker-1.example:9093";
        let listeners = Vec::<Listener>::read(&Raw::Loose(text.to_owned())).unwrap();
        assert_eq!(listeners[1].protocol, Protocol::Kafka);
        assert_eq!(listeners[1].advertised, Some(Address::new("broker-1.example", 9093)));
        let shown: Vec<String> = listeners.iter().map(Listener::to_string).collect();
        assert_eq!(shown.join(", "), text);

        let voters = Vec::<Voter>::read(&Raw::Loose("1@a:9092,2@b:9092".to_owned())).unwrap();
        assert_eq!(voters[1], Voter { id: BrokerId::new(2), address: Address::new("b", 9092) });
        for bad in ["a:9092", "-1@a:9092", "x@a:9092", "1@a"] {
            assert_eq!(Vec::<Voter>::read(&Raw::Loose(bad.to_owned())), None, "{bad}");
        }
    }
}
