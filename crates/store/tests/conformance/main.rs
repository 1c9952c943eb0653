//! What every store does, held against SQLite and a real PostgreSQL alike.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
mod databases;
mod facts;
mod model;
#[path = "../server/mod.rs"]
mod server;

/// Each case on both.
macro_rules! on_both {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $case() { crate::databases::on_sqlite(crate::$module::$case); })*
        }
        mod postgres {
            $(#[test] fn $case() { crate::databases::on_postgres(crate::$module::$case); })*
        }
    };
}

on_both!(
    cases::the_same_instance_goes_on_and_another_fences_it,
    cases::an_epoch_that_is_not_known_any_more_is_still_its_writers,
    cases::a_block_that_sums_up_others_stands_for_all_of_them,
    cases::a_block_appended_twice_is_there_once,
    cases::a_hole_is_refused_with_the_mark_to_go_on_from,
    cases::bytes_that_are_no_block_are_refused_and_nothing_is_kept,
    cases::entries_are_found_by_what_is_asked,
    cases::a_page_goes_on_where_it_ended_while_others_append,
    cases::a_cursor_of_another_query_is_refused,
    cases::what_is_appended_is_told_once_and_in_order,
    cases::who_asks_for_what_was_trimmed_is_told_so,
    cases::who_waits_for_appends_is_woken,
    cases::a_problem_opens_changes_and_closes_and_opens_again,
    cases::episodes_are_paged_latest_first,
    cases::the_document_of_an_episode_is_kept,
    cases::an_object_is_shown_as_of_a_time,
    cases::an_object_that_was_there_when_watching_began_is_shown_from_then_on,
    cases::an_object_is_shown_where_what_was_before_is_trimmed,
    cases::a_token_is_known_by_its_hash_until_it_is_revoked_or_expires,
    cases::an_enrolment_token_enrols_one_agent,
    cases::clusters_are_known_with_what_is_kept_of_them,
    cases::small_blocks_become_full_ones_and_answers_stay_as_they_are,
    cases::the_oldest_goes_first_until_the_size_is_kept,
    cases::entries_of_absurd_times_are_kept_found_and_trimmed,
    cases::hundreds_of_blocks_of_one_hour_are_paged_in_order,
    model::a_store_answers_as_a_list_does,
);
