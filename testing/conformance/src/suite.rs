//! The list of scenarios, once.

/// Makes a test of each scenario, with both sides on one adapter.
#[macro_export]
macro_rules! suite {
    ($spawn:expr) => {
        $crate::scenarios!([$crate::On::alone($spawn)] talk flow ends files dials strangers application contract suspend lan bounds crowd);
    };
}

/// Makes a test of each scenario that is about two nodes, with the sides on two adapters.
#[macro_export]
macro_rules! crosswise {
    ($here:expr, $there:expr) => {
        $crate::scenarios!([$crate::On { here: $here, there: $there }] talk flow ends files lan);
    };
}

/// Makes a test of each scenario that changes the network. `$spawn` must run a node on this thread or a new one.
#[macro_export]
macro_rules! networks {
    ($spawn:expr) => {
        $crate::scenarios!([$crate::On::alone($spawn)] interfaces);
    };
}

/// Makes a test of each scenario that needs no socket of the operating system's, on a network that has none.
#[macro_export]
macro_rules! apart {
    ($spawn:expr) => {
        $crate::scenarios!([$crate::On::alone($spawn)]
            talk_apart flow ends_apart dials_apart application_apart contract_apart bounds_apart);
    };
}

/// The scenarios of each theme; those `_apart` need no socket of the operating system's.
#[macro_export]
#[doc(hidden)]
macro_rules! scenarios {
    ([$on:expr] $($theme:ident)*) => { $($crate::scenarios!(@$theme [$on]);)* };
    (@talk $on:tt) => {
        $crate::scenarios!(@talk_apart $on);
        $crate::tests!($on talk
            one_byte_at_a_time
        );
    };
    (@talk_apart $on:tt) => { $crate::tests!($on talk
        two_nodes_talk_both_ways_in_order
        bulk_flows_beyond_every_queue
        a_burst_is_not_left_lying
        what_is_sent_to_all_reaches_all
        along_a_line_everybody_hears_once
        many_threads_send_at_once
        an_empty_message_arrives
        many_channels_talk_at_once
    ); };
    (@flow $on:tt) => { $crate::tests!($on flow
        a_slow_reader_slows_its_sender_and_nobody_else
        bulk_does_not_hold_up_messages
        a_peer_that_was_held_for_its_rate_is_read_again
        a_packet_too_large_for_the_other_side_is_refused_at_once
        a_full_way_in_both_directions_is_no_deadlock
        a_reader_that_stops_and_goes_on_gets_everything
    ); };
    (@ends $on:tt) => {
        $crate::scenarios!(@ends_apart $on);
        $crate::tests!($on ends
            a_shutdown_gives_up_dials_under_way
        );
    };
    (@ends_apart $on:tt) => { $crate::tests!($on ends
        a_graceful_close_loses_nothing
        what_a_lost_peer_never_got_is_counted
        dropping_the_last_handle_ends_the_node
        a_peer_that_is_blocked_is_cut_off
        a_shutdown_is_told_to_the_peer
        both_may_part_at_once
        who_parted_may_meet_again
    ); };
    (@files $on:tt) => { $crate::tests!($on files
        files_go_both_ways
        files_that_fail_say_why
        a_file_goes_on_after_a_restart
    ); };
    (@dials $on:tt) => {
        $crate::scenarios!(@dials_apart $on);
        $crate::tests!($on dials
            a_dial_that_nobody_answers_is_given_up
            a_dial_that_is_accepted_in_silence_is_given_up
            an_address_in_use_is_named
            many_dials_at_once_all_end
            every_address_and_both_families_are_listened_on
        );
    };
    (@dials_apart $on:tt) => { $crate::tests!($on dials
        a_refused_dial_is_told
        another_identity_than_the_expected_is_turned_away
        who_dials_itself_is_told
        two_who_dial_each_other_keep_one_channel
    ); };
    (@strangers $on:tt) => { $crate::tests!($on strangers
        a_stranger_that_says_nothing_is_let_go
        garbage_is_turned_away_and_nobody_else_notices
        over_the_cap_strangers_are_let_go_at_once
        a_stranger_that_resets_is_forgotten
        half_a_handshake_is_let_go
        an_end_that_comes_with_the_last_byte_is_noticed
        strangers_that_come_and_go_leave_nothing_open
    ); };
    (@application $on:tt) => {
        $crate::scenarios!(@application_apart $on);
        $crate::tests!($on application
            the_application_may_hand_in_a_stream
            a_handed_in_stream_that_ends_is_told
        );
    };
    (@application_apart $on:tt) => { $crate::tests!($on application
        nobody_is_sent_to_who_is_not_there
        lists_survive_a_restart
        a_stopped_node_says_so
        a_node_stops_before_it_has_begun
        handlers_run_though_nobody_takes_events
        what_the_gate_turns_away_is_refused_at_once
        commands_in_bursts_are_answered_in_order
        routines_of_the_application_run_in_time
        incoming_peers_are_turned_off_and_on
        who_waits_is_accepted_or_refused
        events_that_nobody_takes_hold_up_nobody
    ); };
    (@contract $on:tt) => {
        $crate::scenarios!(@contract_apart $on);
        $crate::tests!($on contract
            every_dial_gets_exactly_one_answer
        );
    };
    (@contract_apart $on:tt) => { $crate::tests!($on contract
        time_that_goes_back_is_not_believed
        many_inputs_may_precede_a_drain
        while_outputs_wait_the_deadline_is_now
        after_a_timeout_the_next_timer_is_later
        connections_that_nobody_knows_are_no_matter
        early_and_late_timeouts_are_harmless
        after_its_end_a_connection_is_silent
        no_call_keeps_the_node_long
        the_same_identity_is_the_same_node
        the_node_never_waits_for_its_application
    ); };
    (@suspend $on:tt) => { $crate::tests!($on suspend
        a_short_suspension_loses_nothing
        a_long_suspension_is_told_and_mended
        timers_fire_no_burst_after_a_suspension
        a_clock_that_jumps_fires_no_burst
    ); };
    (@crowd $on:tt) => { $crate::tests!($on crowd
        idle_channels_cost_little_memory_and_no_time
    ); };
    (@lan $on:tt) => { $crate::tests!($on lan
        two_nodes_on_one_host_find_each_other
        datagrams_in_bursts_are_all_looked_at
    ); };
    (@bounds $on:tt) => {
        $crate::scenarios!(@bounds_apart $on);
        $crate::tests!($on bounds
            a_hundred_nodes_leave_nothing_behind
            without_descriptors_accepting_is_put_off_and_goes_on
            without_descriptors_a_dial_says_so
            an_idle_connection_costs_less_than_a_kibibyte
        );
    };
    (@bounds_apart $on:tt) => { $crate::tests!($on bounds
        shutdown_is_quick
        an_idle_node_sleeps
        frequent_timers_cost_little_time
    ); };
    (@interfaces $on:tt) => { $crate::tests!($on interfaces
        interfaces_are_noticed_when_they_come_and_go
        link_local_addresses_have_a_scope
        a_network_that_comes_back_is_used_again
    ); };
}

/// One test for each name.
#[macro_export]
#[doc(hidden)]
macro_rules! tests {
    ([$on:expr] $theme:ident $($name:ident)*) => { $(
        #[test]
        fn $name() {
            // The test's name as the test program knows it: its path below the program's root.
            let path = concat!(module_path!(), "::", stringify!($name));
            let path = path.split_once("::").map_or(path, |(_, below)| below);
            $crate::scenario::$theme::$name($on, path);
        }
    )* };
}
