//! The zone itself.

use super::{Finding, Kind, Seen};
use crate::dns::spell;

/// What Route 53 says of the hosted zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedZone {
    /// Its name.
    pub name: String,
    /// Whether only the networks associated with it see it.
    pub private: bool,
    /// The ids of those networks (VPCs).
    pub networks: Vec<String>,
}

pub(super) fn check(seen: &Seen<'_>) -> Vec<Finding> {
    let (dns, hosted) = (&seen.plan.dns, seen.hosted);
    let place = || format!("zone {}", dns.zone_id);
    let mut found = Vec::new();
    if spell(&hosted.name) != dns.zone {
        found.push(Finding {
            kind: Kind::Zone,
            place: place(),
            what: format!("it is {}, and the plan's zone is {}", spell(&hosted.name), dns.zone),
            next: "put the right id into the plan's `dns.zone_id`".to_owned(),
        });
    }
    if !hosted.private {
        found.push(Finding {
            kind: Kind::Zone,
            place: place(),
            what: "it is public: anybody may ask it, and a private zone of the same name hides it from its networks"
                .to_owned(),
            next: "put the id of the private zone into the plan's `dns.zone_id`".to_owned(),
        });
    }
    for network in seen.networks.iter().filter(|network| !hosted.networks.contains(network)) {
        let has = match hosted.networks.as_slice() {
            [] => "none is".to_owned(),
            networks => format!("{} are", networks.join(", ")),
        };
        found.push(Finding {
            kind: Kind::Network,
            place: network.clone(),
            what: format!(
                "it is not associated with zone {} ({has}): its resolver knows none of the names",
                dns.zone_id
            ),
            next: format!(
                "`aws route53 associate-vpc-with-hosted-zone --hosted-zone-id {} --vpc VPCRegion=REGION,VPCId={network}`",
                dns.zone_id
            ),
        });
    }
    found
}
