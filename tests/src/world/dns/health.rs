//! Which health checks hold: pure, so that Route 53's rules can be told without an emulator.
//!
//! Route 53 reads the metric behind an alarm and judges it as CloudWatch would
//! (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html>); here
//! the alarm's own state is looked at, which says the same a moment sooner.

use std::collections::{BTreeMap, BTreeSet};

/// An alarm, by its Region and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlarmId {
    /// The Region.
    pub region: String,
    /// The name.
    pub name: String,
}

/// What an alarm says. One that is not there says [`Reading::InsufficientData`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// `OK`.
    Ok,
    /// `ALARM`.
    Alarm,
    /// `INSUFFICIENT_DATA`.
    InsufficientData,
}

/// What a check takes insufficient data for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenInsufficient {
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
    /// What it was when there was data last; a new check is healthy.
    LastKnown,
}

/// A health check on an alarm.
#[derive(Debug, Clone)]
pub struct AlarmCheck {
    /// Its id.
    pub id: String,
    /// Its alarm.
    pub alarm: AlarmId,
    /// What it takes insufficient data for.
    pub when_insufficient: WhenInsufficient,
    /// Whether healthy and unhealthy change places.
    pub inverted: bool,
    /// Whether it looks no more: it is healthy then, or unhealthy where it is inverted.
    pub disabled: bool,
}

/// Which checks are unhealthy. All others are healthy: those on no alarm are not evaluated here, and a new check is
/// healthy until it knows better.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    unhealthy: BTreeSet<String>,
}

impl Health {
    /// These checks are unhealthy.
    pub fn without<'a>(unhealthy: impl IntoIterator<Item = &'a str>) -> Self {
        Self { unhealthy: unhealthy.into_iter().map(str::to_owned).collect() }
    }

    /// Whether a check is healthy. What has none is always.
    pub fn holds(&self, check: Option<&str>) -> bool {
        check.is_none_or(|check| !self.unhealthy.contains(check))
    }
}

/// Judges checks, and remembers what each of them knew last.
#[derive(Debug, Default)]
pub struct Judge {
    last_known: BTreeMap<String, bool>,
}

impl Judge {
    /// The health of `checks`, where their alarms say `readings`.
    pub fn judge(&mut self, checks: &[AlarmCheck], readings: &BTreeMap<AlarmId, Reading>) -> Health {
        let mut unhealthy = BTreeSet::new();
        for check in checks {
            let last_known = self.last_known.entry(check.id.clone()).or_insert(true);
            let quiet = match readings.get(&check.alarm).unwrap_or(&Reading::InsufficientData) {
                Reading::Ok => true,
                Reading::Alarm => false,
                Reading::InsufficientData => match check.when_insufficient {
                    WhenInsufficient::LastKnown => *last_known,
                    WhenInsufficient::Healthy => true,
                    WhenInsufficient::Unhealthy => false,
                },
            };
            *last_known = quiet;
            let holds = (quiet || check.disabled) != check.inverted;
            if !holds {
                unhealthy.insert(check.id.clone());
            }
        }
        Health { unhealthy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> AlarmCheck {
        AlarmCheck {
            id: "gate".into(),
            alarm: AlarmId { region: "eu-central-1".into(), name: "traffic".into() },
            when_insufficient: WhenInsufficient::LastKnown,
            inverted: false,
            disabled: false,
        }
    }

    /// Whether the check holds after each of the readings, in turn.
    fn after(check: &AlarmCheck, readings: &[Reading]) -> Vec<bool> {
        let mut judge = Judge::default();
        let mut one = |reading: &Reading| {
            let said = BTreeMap::from([(check.alarm.clone(), *reading)]);
            judge.judge(std::slice::from_ref(check), &said).holds(Some("gate"))
        };
        readings.iter().map(&mut one).collect()
    }

    #[test]
    fn a_new_check_is_healthy_and_without_data_stays_as_it_was() {
        use Reading::{Alarm, InsufficientData, Ok};
        let readings =
            [InsufficientData, Ok, InsufficientData, Alarm, InsufficientData, InsufficientData, Ok];
        assert_eq!(after(&gate(), &readings), [true, true, true, false, false, false, true]);
        let healthy = AlarmCheck { when_insufficient: WhenInsufficient::Healthy, ..gate() };
        assert_eq!(after(&healthy, &readings), [true, true, true, false, true, true, true]);
        let unhealthy = AlarmCheck { when_insufficient: WhenInsufficient::Unhealthy, ..gate() };
        assert_eq!(after(&unhealthy, &readings), [false, true, false, false, false, false, true]);
    }

    #[test]
    fn an_inverted_check_says_the_contrary_and_a_disabled_one_does_not_look() {
        use Reading::{Alarm, Ok};
        let inverted = AlarmCheck { inverted: true, ..gate() };
        assert_eq!(after(&inverted, &[Ok, Alarm]), [false, true]);
        let disabled = AlarmCheck { disabled: true, ..gate() };
        assert_eq!(after(&disabled, &[Ok, Alarm]), [true, true]);
        let both = AlarmCheck { inverted: true, disabled: true, ..gate() };
        assert_eq!(after(&both, &[Ok, Alarm]), [false, false]);
    }

    #[test]
    fn the_loss_of_the_alarm_moves_nothing() {
        let mut judge = Judge::default();
        let alarm = BTreeMap::from([(gate().alarm, Reading::Alarm)]);
        assert!(!judge.judge(&[gate()], &alarm).holds(Some("gate")));
        assert!(!judge.judge(&[gate()], &BTreeMap::new()).holds(Some("gate")));
        assert!(judge.judge(&[gate()], &alarm).holds(None), "what has no check is healthy");
    }
}
