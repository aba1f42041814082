//! What names, addresses and URLs look like. Each is the narrow form that every service involved accepts and
//! gives back unchanged, since the flip deletes the exact values that it once created.

use std::net::Ipv6Addr;

/// `[a-z][a-z0-9-]{0,31}`: with `lifeboat-` before and a function's name after, it fits Lambda's 64 characters.
pub(super) fn is_plan_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Three or more parts of lower-case letters, the last a number: eu-west-1, us-gov-east-1, ap-southeast-2.
pub(super) fn is_region(region: &str) -> bool {
    let parts: Vec<&str> = region.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    words.len() >= 2
        && words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// CloudFormation: letters, digits and hyphens, beginning with a letter.
pub(super) fn is_stack_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// CloudFormation's logical names: letters and digits.
pub(super) fn is_parameter_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// `templates/<64 lower-case hex digits>.yaml`.
pub(super) fn is_uploaded_template(key: &str) -> bool {
    is_by_content(key, "templates/", ".yaml")
}

/// `names/<64 lower-case hex digits>.txt`.
pub(super) fn is_uploaded_list(key: &str) -> bool {
    is_by_content(key, "names/", ".txt")
}

fn is_by_content(key: &str, folder: &str, ending: &str) -> bool {
    key.strip_prefix(folder)
        .and_then(|rest| rest.strip_suffix(ending))
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// S3's rules for buckets, without the dots that break TLS names.
pub(super) fn is_bucket(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|c| edge(c) || c == '-')
        && name.starts_with(edge)
        && name.ends_with(edge)
}

/// `[A-Za-z0-9_-]{1,64}`: a stream is one part of a key.
pub(super) fn is_stream(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// `Z` and up to 31 capital letters and digits.
pub(super) fn is_zone_id(id: &str) -> bool {
    id.len() <= 32
        && id.len() > 1
        && id.starts_with('Z')
        && id.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// One label of a name, in lower case.
pub(crate) fn is_dns_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

/// A full name in lower case, without the closing dot and without wildcard, of two labels or more.
pub(crate) fn is_dns_name(name: &str) -> bool {
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_dns_label)
}

/// Route 53's ids are UUIDs today and up to 64 characters by its reference.
pub(super) fn is_health_check(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Whether `name` is the zone itself or lies in it.
pub(super) fn is_in_zone(name: &str, zone: &str) -> bool {
    name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// The host and the port of an http or https URL.
pub(super) fn http_endpoint(url: &str) -> Result<(String, u16), &'static str> {
    if let Some(rest) = url.strip_prefix("http://") {
        endpoint(rest, Some(80))
    } else if let Some(rest) = url.strip_prefix("https://") {
        endpoint(rest, Some(443))
    } else {
        Err("must begin with http:// or https://")
    }
}

/// The host and the port of what a probe of the primary asks: as [`http_endpoint`], or `tcp://<host>:<port>`.
pub(super) fn probe_endpoint(url: &str) -> Result<(String, u16), &'static str> {
    let Some(rest) = url.strip_prefix("tcp://") else {
        return http_endpoint(url).map_err(|why| match why {
            "must begin with http:// or https://" => "must begin with http://, https:// or tcp://",
            why => why,
        });
    };
    if rest.contains(['/', '?', '#']) {
        return Err("must be tcp://<host>:<port>, without a path");
    }
    endpoint(rest, None)
}

fn endpoint(rest: &str, default_port: Option<u16>) -> Result<(String, u16), &'static str> {
    if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("must not contain spaces or control characters");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not contain a user name or password: the plan is kept as evidence");
    }
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']').ok_or("has an opening bracket that is not closed")?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err("has brackets around what is no IPv6 address");
        }
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':').ok_or("has text after the address that is no port")?),
        };
        (host, port)
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err("names no host");
    }
    if !host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':')) {
        return Err("has a host that is neither a name nor an address");
    }
    let port = match port {
        None => default_port.ok_or("names no port")?,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err("has a port that is not from 1 to 65535"),
        },
    };
    Ok((host.to_ascii_lowercase(), port))
}
