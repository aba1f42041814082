//! Going through every state.

use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::action::Action;
use crate::failover::{Bounds, Failover, Moves};
use crate::mutant::Mutant;
use crate::world::World;

/// What was found.
#[derive(Debug)]
pub struct Explored {
    /// How traffic moves.
    pub moves: Moves,
    /// The bounds.
    pub bounds: Bounds,
    /// What was missing.
    pub mutant: Option<Mutant>,
    /// States, each counted once.
    pub unique: usize,
    /// States, counted each time that one was come to.
    pub total: usize,
    /// The longest of the shortest ways to a state, in actions.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// The properties that must always hold and do not, each with the shortest way to where it does not.
    pub broken: Vec<(&'static str, Vec<Action>)>,
    /// The properties that must hold somewhere and hold nowhere.
    pub never: Vec<&'static str>,
    /// How often each fault has happened, counted each time that a state was come to by one.
    pub happened: Vec<(&'static str, u64)>,
}

/// Goes through every state within `bounds`, breadth first, or up to the first that a property does not hold in.
pub fn explore(moves: Moves, bounds: Bounds) -> Explored {
    search(Failover::new(moves, bounds, None), HasDiscoveries::AnyFailures)
}

/// Goes through the states without a mechanism, breadth first, up to the first that `property` does not hold in.
pub fn explore_mutant(moves: Moves, bounds: Bounds, mutant: Mutant, property: &'static str) -> Explored {
    let until = HasDiscoveries::AnyOf([property].into());
    let mut explored = search(Failover::new(moves, bounds, Some(mutant)), until);
    explored.broken.retain(|(broken, _)| *broken == property);
    explored
}

fn search(model: Failover, until: HasDiscoveries) -> Explored {
    let begun = Instant::now();
    let checker = model.clone().checker().finish_when(until).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let (mut broken, mut never) = (Vec::new(), Vec::new());
    for property in model.properties() {
        match (&property.expectation, discoveries.get(property.name)) {
            (Expectation::Always, Some(path)) => {
                let fails = |world: &World| !(property.condition)(&model, world);
                broken.push((property.name, shortened(&model, path.clone().into_actions(), fails)));
            }
            (Expectation::Sometimes, None) => never.push(property.name),
            _ => {}
        }
    }
    Explored {
        moves: model.moves,
        bounds: model.bounds,
        mutant: model.mutant,
        unique: checker.unique_state_count(),
        total: checker.state_count(),
        depth: checker.max_depth(),
        took: begun.elapsed(),
        broken,
        never,
        happened: model.happened(),
    }
}

/// Leaves out of `path` whatever is not needed for its end to fail.
fn shortened(model: &Failover, mut path: Vec<Action>, fails: impl Fn(&World) -> bool) -> Vec<Action> {
    let mut at = path.len();
    while at > 0 {
        at -= 1;
        let without: Vec<Action> = [&path[..at], &path[at + 1..]].concat();
        if follow(model, &without).is_some_and(|world| fails(&world)) {
            path = without;
            at = path.len();
        }
    }
    path
}

/// Where `path` leads; `None` where one of its actions is not possible.
fn follow(model: &Failover, path: &[Action]) -> Option<World> {
    let mut world = model.init_states().pop()?;
    for action in path {
        let mut possible = Vec::new();
        model.actions(&world, &mut possible);
        world = model.next_state(&world, *possible.iter().find(|possible| *possible == action)?)?;
    }
    Some(world)
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { streams, primary_orders, recovery_orders, faults, actors, rescued_of } = self.bounds;
        let actors: Vec<_> = actors.iter().map(|actor| actor.run()).collect();
        writeln!(
            f,
            "{:?}: {} states ({} with repeats), depth {}, {:.1} s; bounds: {}; streams {streams}, orders {primary_orders} and \
             {recovery_orders}, faults {faults}, rescued from 1 of {rescued_of}",
            self.moves,
            self.unique,
            self.total,
            self.depth,
            self.took.as_secs_f64(),
            actors.join(", "),
        )?;
        for (property, path) in &self.broken {
            writeln!(f, "  does not hold: {property}")?;
            for action in path {
                writeln!(f, "    {action:?}")?;
            }
        }
        for property in &self.never {
            writeln!(f, "  never came about: {property}")?;
        }
        Ok(())
    }
}
