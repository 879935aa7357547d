//! Contracts of the scenario reader.

use super::*;

fn read(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse("dir/x.cfg", text.as_bytes(), Path::new("dir"), &[])
}

#[test]
fn our_own_scenarios_load_without_an_engine() {
    assert_eq!(Scenario::embedded().count(), 7);
    for name in Scenario::embedded() {
        let scenario = Scenario::load(name, &SearchPaths::default(), &[]).unwrap();
        assert_eq!(scenario.name, name);
        assert!(!scenario.buttons.is_empty() && !scenario.variables.is_empty(), "{name}");
        assert_eq!(scenario.screen_format, ScreenFormat::Gray8);
        assert_eq!(read(&scenario.to_cfg()).unwrap().buttons, scenario.buttons);
    }
}
