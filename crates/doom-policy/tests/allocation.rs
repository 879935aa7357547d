//! Deciding never allocates.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::{configs, label, load_file, observation, schema};
use doom_game::{Button, Label};
use doom_policy::{Policy, PolicySpec};

/// Allocations of 500 decisions over two episodes, in which labels come and go.
fn allocations(policy: &mut dyn Policy, variables: usize, buttons: usize) -> u64 {
    let labels: Vec<Label> = (0..40)
        .map(|i| {
            let (name, category) = [("Cacodemon", "Monster"), ("Medikit", "Health"), ("GreenArmor", "Armor")][i % 3];
            label(name, category, (10 + 4 * i as u32, 50), [i as f64, -3.0, 0.0])
        })
        .collect();
    let mut action = vec![0.0; buttons];
    let mut values = vec![0.0; variables];
    let counted = allocation_counter::measure(|| {
        for step in 0..500u32 {
            if step % 250 == 0 {
                policy.begin_episode(step);
            }
            values.fill(f64::from(step % 97));
            policy.decide(&observation(step, &values, &labels[..step as usize % 41]), &mut action);
        }
    });
    counted.count_total
}

#[test]
fn no_policy_allocates_while_it_decides() {
    let counter = allocation_counter::measure(|| drop(std::hint::black_box(vec![1u8; 64])));
    assert_eq!(counter.count_total, 1, "allocations are counted");
    let buttons = Button::ALL;
    for spec in ["random", "cycle:ATTACK,TURN_LEFT_RIGHT_DELTA=2,NOOP*3"] {
        let mut policy = spec.parse::<PolicySpec>().unwrap().load(&[]).unwrap().bind(&schema(buttons, &[])).unwrap();
        assert_eq!(allocations(&mut *policy, 0, buttons.len()), 0, "{spec}");
    }
    let everything = "
        [groups]
        all = \"monsters, health, 'GreenArmor'\"
        [[rule]]
        when = 'count(all) > 30 and not (change(HEALTH) < -20) or nearest(all).distance < largest(keys).width'
        probability = 'min(1, AMMO2 / 90)'
        press = ['ATTACK', 'MOVE_LEFT+TURN_LEFT_RIGHT_DELTA=(central(all).x * 20 % 7)', 'NOOP']
        hold = 'abs(nearest(monsters).x) * 5'
        [fallback]
        press = ['USE', 'JUMP']";
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("everything.toml");
    std::fs::write(&own, everything).unwrap();
    let shipped = std::fs::read_dir(configs().join("rules")).unwrap().map(|entry| entry.unwrap().path());
    for file in shipped.chain([own]) {
        let program = load_file(&file, &[]).unwrap_or_else(|e| panic!("{e}"));
        let variables = program.needs().variables;
        let mut policy = program.bind(&schema(buttons, &variables)).unwrap();
        assert_eq!(allocations(&mut *policy, variables.len(), buttons.len()), 0, "{}", file.display());
    }
}
