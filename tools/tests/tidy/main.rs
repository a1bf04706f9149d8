//! Tidy: the rules of the house that no compiler checks, read off the source text.
//!
//! Proves that packages and rooms depend one way, that functions stay within a screen, that doors hold nothing
//! but docs and names, that clocks, prints and `unsafe` stay where they belong, and that the packages with
//! unsafe code repeat the workspace's lints. Each rule is a function from text to complaints, and has a test that feeds it
//! a text which breaks it: a check that cannot fail would be a defect.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod calls;
mod functions;
mod manifests;
mod rooms;
mod source;

use source::workspace;

/// Prints all complaints at once, so that one run shows everything.
fn demand_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn packages_depend_one_way() {
    demand_none(&manifests::package_order(&workspace()));
}

#[test]
fn packages_with_unsafe_code_repeat_the_workspace_lints() {
    demand_none(&manifests::repeated_lints(&workspace()));
}

#[test]
fn rooms_of_the_broker_depend_downward() {
    let files = source::files(&workspace().join("broker/src"));
    assert!(files.len() > 40, "the broker's files were not found");
    demand_none(&rooms::row_order(&files));
}

#[test]
fn doors_hold_docs_and_names_only() {
    let files = source::all();
    assert!(files.len() > 100, "the workspace's files were not found");
    demand_none(&rooms::doors(&files));
}

#[test]
fn every_file_opens_with_its_sentence() {
    demand_none(&rooms::opening_docs(&source::all()));
}

#[test]
fn functions_stay_within_a_screen() {
    demand_none(&functions::too_long(&source::all(), functions::EXCEPTIONS));
}

#[test]
fn the_list_of_long_functions_only_shrinks() {
    demand_none(&functions::stale_exceptions(&source::all(), functions::EXCEPTIONS));
}

#[test]
fn clocks_prints_and_unsafe_stay_where_they_belong() {
    demand_none(&calls::misplaced(&source::all()));
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    demand_none(&calls::places(&source::texts()));
}
