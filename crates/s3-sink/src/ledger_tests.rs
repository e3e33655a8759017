use super::*;

const ENTRY: &str = include_str!("../fixtures/entry.json");
const COUNTS: &str = include_str!("../fixtures/entry-aggregates.json");
const LOST: &str = include_str!("../fixtures/entry-lost.json");
const KEY: &str = "ledger/pageviews/p00003/00000000000000001200.json";
const COUNTS_KEY: &str = "ledger/pageview-aggregates/p00000/00000000000000000040.json";

fn rewritten(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap()
}

#[test]
fn every_document_is_read_and_written_to_the_byte() {
    for (key, fixture) in [(KEY, ENTRY), (COUNTS_KEY, COUNTS), (KEY, LOST)] {
        assert_eq!(rewritten(Entry::parse(key, fixture.as_bytes()).unwrap().to_json()), fixture);
    }
    let genesis = include_str!("../fixtures/genesis.json");
    assert_eq!(rewritten(Genesis::parse("g", genesis.as_bytes()).unwrap().to_json()), genesis);
    let origin = include_str!("../fixtures/origin.json");
    assert_eq!(rewritten(Origin::parse("o", origin.as_bytes()).unwrap().to_json()), origin);
}

#[test]
fn the_fixture_says_what_it_says() {
    let entry = Entry::parse(KEY, ENTRY.as_bytes()).unwrap();
    assert_eq!((entry.start, entry.end, entry.objects().len()), (1200, 1850, 2));
    let Content::Written(written) = &entry.content else { panic!("{entry:?}") };
    assert_eq!(
        (written.records, written.recipe.format.as_str(), written.recipe.rules),
        (648, "ndjson.gz", 1)
    );
    let counts = Entry::parse(COUNTS_KEY, COUNTS.as_bytes()).unwrap();
    assert_eq!(counts.objects().iter().filter_map(|object| object.pageview_count).sum::<u64>(), 47);
    assert_eq!(Entry::parse(KEY, LOST.as_bytes()).unwrap().content, Content::Lost);
}

#[test]
fn a_later_version_is_never_read_as_this_one() {
    let later = ENTRY.replace(r#""version": 1"#, r#""version": 2"#);
    assert!(matches!(Entry::parse(KEY, later.as_bytes()), Err(Error::UnknownVersion { version: 2, .. })));
    let shapeless = br#"{"version":7,"ranges":[]}"#;
    assert!(matches!(Entry::parse(KEY, shapeless), Err(Error::UnknownVersion { version: 7, .. })));
    assert!(matches!(Genesis::parse("g", shapeless), Err(Error::UnknownVersion { version: 7, .. })));
    assert!(matches!(Origin::parse("o", shapeless), Err(Error::UnknownVersion { version: 7, .. })));
}

#[test]
fn an_unknown_recipe_and_an_unknown_field_are_kept_out_of_the_way() {
    let later = ENTRY.replace(r#""layout": 1"#, r#""layout": 9, "bytes": 1"#);
    let Content::Written(written) = Entry::parse(KEY, later.as_bytes()).unwrap().content else { panic!() };
    assert_eq!(written.recipe.layout, 9);
}

#[test]
fn a_document_that_contradicts_itself_or_its_name_is_refused() {
    for (from, to) in [
        (r#""records": 648"#, r#""records": 649"#),
        (r#""start": 1200"#, r#""start": 1201"#),
        (r#""partition": 3"#, r#""partition": 4"#),
        (r#""end": 1850"#, r#""end": 1200"#),
        (r#""topic": "pageviews""#, r#""topic": "others""#),
    ] {
        let wrong = ENTRY.replace(from, to);
        assert_ne!(wrong, ENTRY, "{from}");
        assert!(matches!(Entry::parse(KEY, wrong.as_bytes()), Err(Error::Contradiction { .. })), "{to}");
    }
    let bare = br#"{"version":1,"topic":"pageviews","partition":3,"start":1200,"end":1850}"#;
    assert!(matches!(Entry::parse(KEY, bare), Err(Error::Contradiction { .. })));
    assert!(matches!(Entry::parse(KEY, b"{"), Err(Error::Malformed { .. })));
}
