//! What `GameBackend` promises, proved on both of its implementations by the same functions.
//!
//! The engine's half needs the feature `vizdoom` (on by default) and what `cargo xtask setup` fetches; where that is missing it fails.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod actions;
mod determinism;
mod ends;
mod faults;
mod host;
mod play;
mod sight;

/// Makes of each function one test for each implementation.
macro_rules! contracts {
    ($($module:ident::$contract:ident),* $(,)?) => {
        mod mock {
            $(#[test] fn $contract() { crate::$module::$contract(&crate::host::Mock); })*
        }
        #[cfg(feature = "vizdoom")]
        mod engine {
            $(#[test] fn $contract() { crate::$module::$contract(&crate::host::Engine); })*
        }
    };
}

contracts!(
    actions::a_call_out_of_turn_is_wrong_use_and_harms_nothing,
    actions::an_action_that_is_none_is_wrong_use_and_harms_nothing,
    actions::a_delta_button_turns_by_its_number_in_every_tic,
    actions::a_delta_button_goes_no_further_than_its_greatest_value,
    actions::every_direction_is_the_one_that_its_button_names,
    actions::every_button_of_the_game_is_accepted,
    determinism::the_same_seed_and_actions_give_the_same_game_in_two_backends,
    determinism::an_episode_does_not_depend_on_those_before_it,
    determinism::another_seed_is_another_game,
    determinism::every_seed_is_accepted,
    determinism::a_skip_is_the_same_as_that_many_steps_of_one_tic,
    determinism::what_is_asked_for_besides_does_not_change_the_game,
    ends::an_episode_begins_at_its_start_time,
    ends::a_timeout_comes_after_exactly_its_tics_and_cuts_the_skip_short,
    ends::a_death_shows_the_damage_of_the_last_hit,
    ends::a_kill_that_ends_the_level_is_in_the_terminal_variables,
    ends::without_a_timeout_an_episode_lasts_until_death,
    ends::a_death_in_the_tic_of_the_timeout_is_a_death,
    ends::an_exit_in_the_tic_of_the_timeout_is_an_exit,
    ends::the_frame_skip_changes_what_is_seen_and_not_what_happens,
    ends::rewards_cover_the_whole_step_by_the_scenarios_rates,
    ends::every_scenario_of_ours_plays,
    faults::an_interrupt_ends_a_step_that_hangs,
    faults::an_interrupt_between_steps_ends_the_game,
    faults::an_interrupt_is_idempotent_and_harmless_after_the_game,
    faults::a_recording_is_written_and_changes_nothing,
    faults::a_recording_that_cannot_be_written_is_wrong_use,
    sight::needed_variables_come_after_the_scenarios_and_only_once,
    sight::every_variable_can_be_read,
    sight::a_frame_has_the_size_that_its_format_says,
    sight::the_picture_moves_and_there_is_none_of_the_terminal_tic,
    sight::labels_are_there_where_they_are_asked_for_and_only_there,
    sight::the_backend_says_what_it_is,
);
