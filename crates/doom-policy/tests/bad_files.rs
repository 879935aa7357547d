//! A rules file with something wrong in it is refused with file, line and column, and with what would be right.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::fmt::Write as _;

use common::load;

/// The error without the directory of the file.
fn error(text: &str, parameters: &[(&str, f64)]) -> String {
    let Err(error) = load(text.as_bytes(), parameters) else { panic!("this was taken:\n{text}") };
    let error = error.to_string();
    error.find("rules.toml:").map_or(error.clone(), |at| error[at..].to_owned())
}

/// A file of one rule, whose condition begins at 2:9.
fn when(condition: &str) -> String {
    format!("[[rule]]\nwhen = '''{condition}'''\npress = 'ATTACK'\n").replace("'''", if condition.contains('\'') { "\"" } else { "'" })
}

/// A file of one rule, whose press begins at 3:10.
fn press(press: &str) -> String {
    format!("[[rule]]\nwhen = 'true'\npress = '{press}'\n")
}

const RULE: &str = "[[rule]]\nwhen = 'HEALTH < a'\npress = 'ATTACK'\n";

#[test]
fn structure() {
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "rules.toml:1:1: there are no rules; write at least one [[rule]]"),
        ("rule = []".into(), "rules.toml:1:1: there are no rules; write at least one [[rule]]"),
        ("rule = 3".into(), "rules.toml:1:8: `rule` must be a list of tables, each under [[rule]], not a number"),
        ("rule = [3]".into(), "rules.toml:1:9: `rule` must be a table, not a number"),
        (
            format!("{RULE}[[rules]]\n"),
            "rules.toml:4:3: unknown key `rules` in the file (did you mean rule?); valid are about, parameters, groups, rule, fallback",
        ),
        (
            "about = 'x'\n\"two\\nlines\" = 1".into(),
            "rules.toml:2:1: unknown key `two\\nlines` in the file; valid are about, parameters, groups, rule, fallback",
        ),
        (
            "[[rule]]\nwhen = 'true'\npres = 'ATTACK'".into(),
            "rules.toml:3:1: unknown key `pres` in a [[rule]] (did you mean press?); valid are name, when, press, hold, probability",
        ),
        ("[[rule]]\nwhen = 'true'".into(), "rules.toml:1:1: a [[rule]] has no `press`; write press = \"ATTACK\""),
        ("\n[[rule]]\npress = 'ATTACK'".into(), "rules.toml:2:1: a [[rule]] has no `when`; write when = \"HEALTH < 30\""),
        ("[[rule]]\nwhen = true\npress = 'ATTACK'".into(), "rules.toml:2:8: `when` must be a text in quotes, not true or false"),
        ("[[rule]]\nwhen = 'true'\npress = []".into(), "rules.toml:3:9: `press` has 0 choices; it must have 1 to 64"),
        ("[[rule]]\nwhen = 'true'\npress = ['ATTACK', 1]".into(), "rules.toml:3:20: `press` must be a text in quotes, not a number"),
        (
            "rule = [{ name = 'a', when = 'true', press = 'USE' }, { name = 'a', when = 'true', press = 'USE' }]".into(),
            "rules.toml:1:64: another rule is called `a` too",
        ),
        (format!("about = '{}'\n{RULE}", "x".repeat(1001)), "rules.toml:1:9: `about` is longer than 1000 characters"),
        (
            format!("{}[fallback]\nprobability = 1", press("ATTACK")),
            "rules.toml:5:1: unknown key `probability` in [fallback]; valid are press, hold",
        ),
        ("rule = 1\nrule = 2".into(), "rules.toml:2:1: duplicate key"),
        ("[[rule]\nwhen = 'true'".into(), "rules.toml:1:8: unclosed array table, expected `]`"),
        ("about = 'é' x".into(), "rules.toml:1:13: unexpected key or value, expected newline, `#`"),
        ("about = 'é".into(), "rules.toml:1:11: invalid literal string, expected `'`"),
    ];
    for (text, expected) in cases {
        assert_eq!(error(&text, &[]), expected, "{text}");
    }
}

#[test]
fn parameters() {
    let with = |line: &str| format!("[parameters]\n{line}\n{RULE}");
    for (line, expected) in [
        ("a = 'x'", "rules.toml:2:5: `a` must be a number, not a text"),
        ("a = nan", "rules.toml:2:5: `a` must be a finite number"),
        ("a = 1e999", "rules.toml:2:5: `a` must be a finite number"),
        ("a = {}", "rules.toml:2:1: a parameter has no `default`; write default = 0.5"),
        (
            "a = { default = 1, mim = 0 }",
            "rules.toml:2:20: unknown key `mim` in a parameter (did you mean min?); valid are default, min, max, help",
        ),
        ("a = { default = 1, min = 2, max = 1 }", "rules.toml:2:1: the min of `a`, 2, is more than its max, 1"),
        ("a = { default = 3, min = 0, max = 1 }", "rules.toml:2:17: the default of `a` is 3, outside its range, 0 to 1"),
        ("a = { default = -3, min = 0 }", "rules.toml:2:17: the default of `a` is -3, outside its range, 0 or more"),
        ("a = { default = 1, help = 1 }", "rules.toml:2:27: `help` must be a text in quotes, not a number"),
        ("a = 1\nb = 2", "rules.toml:3:1: the parameter `b` is read by no rule; use it or remove it"),
        ("A = 1", "rules.toml:2:1: a parameter cannot be called `A`: names are 1 to 64 of a-z, 0-9 and _, and begin with a letter"),
        ("health = 1", "rules.toml:2:1: a parameter cannot be called `health`: that is a word of the rules' language"),
        ("angle = 1", "rules.toml:2:1: a parameter cannot be called `angle`: that is a game variable"),
        ("tic = 1", "rules.toml:2:1: a parameter cannot be called `tic`: that is a word of the rules' language"),
        ("a = 1\n[groups]\na = 'keys'", "rules.toml:4:1: `a` is a parameter already"),
        ("a = 1\n[groups]\nb = 'keys or players'", "rules.toml:4:11: expected an operator or the end, found `or`"),
        ("a = 1\n[groups]\nb = 'c'\nc = 'keys'", UNKNOWN_GROUP),
    ] {
        assert_eq!(error(&with(line), &[]), expected, "{line}");
    }
}

const UNKNOWN_GROUP: &str = "rules.toml:4:6: unknown group `c`; valid are monsters, players, health, armor, ammo, weapons, keys, powerups, \
    hazards, explosives, or a class in quotes: 'c'";

#[test]
fn values_of_parameters() {
    let text = "[parameters]\nhealth_threshold = { default = 0.5, min = 0, max = 1 }\nskew = { default = 1, max = 9 }\n\
        [[rule]]\nwhen = 'HEALTH < health_threshold * skew'\npress = 'ATTACK'";
    let known = "health_threshold (default 0.5, 0 to 1), skew (default 1, 9 or less)";
    for (name, value, expected) in [
        (
            "health_treshold",
            0.3,
            format!("the policy `rules:rules.toml` has no parameter `health_treshold`; did you mean health_threshold? It has {known}"),
        ),
        ("speed", 1.0, format!("the policy `rules:rules.toml` has no parameter `speed`; it has {known}")),
        (
            "health_threshold",
            1.5,
            "the parameter `health_threshold` of the policy `rules:rules.toml` cannot be 1.5; it takes 0 to 1".into(),
        ),
        ("skew", 9.5, "the parameter `skew` of the policy `rules:rules.toml` cannot be 9.5; it takes 9 or less".into()),
        ("skew", f64::NAN, "the parameter `skew` of the policy `rules:rules.toml` cannot be NaN; it takes 9 or less".into()),
    ] {
        assert_eq!(load(text.as_bytes(), &[(name, value)]).unwrap_err().to_string(), expected);
    }
    let error = load(press("ATTACK").as_bytes(), &[("a", 1.0)]).unwrap_err().to_string();
    assert_eq!(error, "the policy `rules:rules.toml` has no parameter `a`; it has none");
}

#[test]
fn hold_and_probability() {
    let with = |line: &str| format!("[parameters]\nn = 3\n[[rule]]\nwhen = 'HEALTH < n'\npress = 'ATTACK'\n{line}\n");
    for (line, value, expected) in [
        ("hold = 0", 3.0, "rules.toml:6:8: `hold` is 0; it must be 1 to 10000"),
        ("hold = 10001", 3.0, "rules.toml:6:8: `hold` is 10001; it must be 1 to 10000"),
        ("hold = 'n - 3'", 3.0, "rules.toml:6:8: `hold` is 0; it must be 1 to 10000"),
        ("hold = 'n'", -2.0, "rules.toml:6:8: `hold` is -2; it must be 1 to 10000"),
        ("hold = true", 3.0, "rules.toml:6:8: `hold` must be a number, not true or false"),
        ("hold = 'n > 1'", 3.0, "rules.toml:6:9: this is a condition where a number is wanted"),
        ("probability = 1.5", 3.0, "rules.toml:6:15: `probability` is 1.5; it must be 0 to 1"),
        ("probability = 'n / 2'", 3.0, "rules.toml:6:15: `probability` is 1.5; it must be 0 to 1"),
        ("probability = '0 / 0'", 3.0, "rules.toml:6:15: `probability` is NaN; it must be 0 to 1"),
        ("probability = 'm'", 3.0, ""),
    ] {
        let error = error(&with(line), &[("n", value)]);
        if expected.is_empty() {
            assert!(error.starts_with("rules.toml:6:16: unknown name `m`"), "{error}");
        } else {
            assert_eq!(error, expected, "{line}");
        }
    }
}

#[test]
fn conditions() {
    for (condition, expected) in [
        ("", "2:9: expected a number, a name or a bracket, found the end"),
        ("HEALTH", "2:9: this is a number where a condition is wanted; compare it, as in HEALTH < 30"),
        ("HEALTH <", "2:17: expected a number, a name or a bracket, found the end"),
        ("HEALTH = 3", "2:16: `=` does not compare; write `==`"),
        ("HEALTH < 3 AND true", "2:20: write `and`"),
        ("HEALTH < 3 && true", "2:20: `&&` means nothing here; write `and`"),
        ("!true", "2:9: `!` means nothing here; write `not`"),
        ("1 < 2 < 3", "2:15: comparisons do not chain; write a < b and b < c"),
        ("true and 3", "2:18: this is a number where a condition is wanted; compare it, as in HEALTH < 30"),
        ("not 3", "2:13: this is a number where a condition is wanted; compare it, as in HEALTH < 30"),
        ("1 + true < 2", "2:13: this is a condition where a number is wanted"),
        ("(1 < 2", "2:15: expected `)` to close the bracket, found the end"),
        ("1 < 2)", "2:14: expected an operator or the end, found `)`"),
        ("1 < .5", "2:13: write a 0 before the decimal point"),
        ("1 < 1e999", "2:13: this number is too large"),
        ("HEALTH < ä", "2:18: 'ä' means nothing here"),
        ("seen < 1", "2:9: `seen` is a function; write seen(…)"),
        ("monsters > 1", "2:9: `monsters` is a group of labels; write count(monsters), seen(monsters) or nearest(monsters).x"),
        ("near(monsters).x < 1", "2:9: unknown function `near`; valid are count, seen, nearest, largest, central, change, abs, min, max"),
        (
            "neerest(monsters).x < 1",
            "2:9: unknown function `neerest` (did you mean nearest?); valid are count, seen, nearest, largest, central, change, abs, min, max",
        ),
        (
            "count(monster) > 1",
            "2:15: unknown group `monster` (did you mean monsters?); valid are monsters, players, health, armor, ammo, weapons, keys, \
             powerups, hazards, explosives, or a class in quotes: 'monster'",
        ),
        ("count() > 1", "2:15: expected a group such as monsters, or a class in quotes, found `)`"),
        ("count(keys, 'x' > 1", "2:25: expected `)` after the labels, found `>`"),
        ("count('') > 1", "2:15: a class is 1 to 64 characters, such as 'Cacodemon'"),
        ("count('x) > 1", "2:15: this quote is never closed"),
        ("'Imp' > 1", "2:9: a class alone says nothing; write count('Imp') or seen('Imp')"),
        ("nearest(monsters) < 1", "2:27: expected `.` and one of x, y, left, right, width, height, distance, found `<`"),
        ("nearest(monsters).z < 1", "2:27: a label has no `z`; valid are x, y, left, right, width, height, distance"),
        ("nearest(monsters).5 < 1", "2:26: write a 0 before the decimal point"),
        ("nearest(monsters).(1) < 1", "2:27: expected one of x, y, left, right, width, height, distance, found `(`"),
        ("change(1) < 1", "2:16: change takes a game variable, as in change(HEALTH), found `1`"),
        ("change(HEALTH, 1) < 1", "2:22: expected `)` after the variable, found `,`"),
        ("min(1) < 1", "2:14: expected `,` and a second number for min, found `)`"),
        ("max(1, 2, 3) < 1", "2:17: expected `)` after max's two numbers, found `,`"),
        ("abs(true) < 1", "2:13: this is a condition where a number is wanted"),
        ("1 <\n 2 and\n  3", "4:3: this is a number where a condition is wanted; compare it, as in HEALTH < 30"),
    ] {
        let text = if condition.contains('\n') { when("X").replace("'X'", &format!("'''{condition}'''")) } else { when(condition) };
        assert_eq!(error(&text, &[]), format!("rules.toml:{expected}"), "{condition}");
    }
    let windows = error("[[rule]]\r\nwhen = '''\r\n true and 3'''\r\npress = 'ATTACK'\r\n", &[]);
    assert!(windows.starts_with("rules.toml:3:11: this is a number"), "{windows}");
    let escaped = error("[[rule]]\nwhen = \"\\u0041 < 3\"\npress = 'ATTACK'\n", &[]);
    assert!(escaped.starts_with("rules.toml:2:8: unknown name `A`"), "{escaped}");
    let long = when(&format!("{} < 1", "x".repeat(65)));
    assert_eq!(error(&long, &[]), "rules.toml:2:9: a name is longer than 64 characters");
    let text = format!("[parameters]\na = 1\n{}", when("change(a) < 1"));
    assert_eq!(error(&text, &[]), "rules.toml:4:16: `a` is a parameter, which never changes; change takes a game variable");
}

#[test]
fn an_unknown_name_says_the_nearest_and_what_there_is() {
    let text = format!("[parameters]\nlow = 1\nhigh = 2\n{}", when("HEALT < low"));
    let error = error(&text, &[]);
    let begin = "rules.toml:5:9: unknown name `HEALT` (did you mean HEALTH?); this file's parameters are: high, low; \
        game variables are: KILLCOUNT, ITEMCOUNT, ";
    assert!(error.starts_with(begin) && error.ends_with("USER60"), "{error}");
    let error = self::error(&when("QQQQQQQQ < 1"), &[]);
    assert!(error.starts_with("rules.toml:2:9: unknown name `QQQQQQQQ`; this file's parameters are: none; game variables"), "{error}");
}

#[test]
fn presses() {
    for (text, expected) in [
        ("", "3:10: expected a button or NOOP, found the end"),
        ("ATTACK+", "3:17: expected a button or NOOP, found the end"),
        ("ATTACK USE", "3:17: expected `+` and a button, or the end, found `USE`"),
        ("ATTACK+ATTACK", "3:17: ATTACK is pressed already"),
        ("NOOP+ATTACK", "3:14: expected an operator or the end, found `+`"),
        ("ATTACK=1", "3:10: ATTACK is either pressed or not; write it without a value"),
        ("LOOK_UP_DOWN_DELTA", "3:10: LOOK_UP_DOWN_DELTA is a delta button and needs a value; write LOOK_UP_DOWN_DELTA=1.5"),
        ("LOOK_UP_DOWN_DELTA=true", "3:29: this is a condition where a number is wanted"),
        ("LOOK_UP_DOWN_DELTA=1*2", "3:30: expected `+` and a button, or the end, found `*`; put a calculation in brackets"),
    ] {
        assert_eq!(error(&press(text), &[]), format!("rules.toml:{expected}"), "{text}");
    }
    let error = error(&press("MOVE_LEFT+ATACK"), &[]);
    assert!(error.starts_with("rules.toml:3:20: unknown button `ATACK` (did you mean ATTACK?); valid are ATTACK, USE, "), "{error}");
}

#[test]
fn bounds() {
    for open in ["(", "-", "abs("] {
        let error = error(&when(&format!("{}1 < 2", open.repeat(10_000))), &[]);
        assert_eq!(error, format!("rules.toml:2:{}: nested more than 32 deep", 9 + 33 * open.len()), "{open}");
    }
    assert_eq!(error(&when(&format!("{}true", "not ".repeat(10_000))), &[]), "rules.toml:2:141: nested more than 32 deep");
    let nested = error(&format!("about = {}", "[".repeat(30_000)), &[]);
    assert!(nested.starts_with("rules.toml:1:89: cannot recurse further"), "{nested}");
    let mut groups = String::new();
    for i in 0..65 {
        write!(groups, "seen('c{i}') or ").unwrap();
    }
    let error = self::error(&when(&format!("{groups}true")), &[]);
    assert!(error.ends_with(": more than 64 different groups of labels"), "{error}");
    let classes: Vec<String> = (0..65).map(|i| format!("'c{i}'")).collect();
    let error = self::error(&when(&format!("seen({})", classes.join(","))), &[]);
    assert_eq!(error, "rules.toml:2:388: more than 64 labels in a group");
    // Each group is ten times the one before, and still the same two labels.
    let mut groups = "[groups]\na = \"'Imp', keys\"\n".to_owned();
    for (name, of) in "bcdefghijklmnop".chars().zip("abcdefghijklmno".chars()) {
        writeln!(groups, "{name} = '{}{of}'", format!("{of},").repeat(9)).unwrap();
    }
    let last = "[[rule]]\nwhen = 'seen(p)'\npress = 'ATTACK'\n";
    assert!(load(format!("{groups}{last}").as_bytes(), &[]).is_ok());
    let groups = (0..65).fold("[groups]\n".to_owned(), |text, i| format!("{text}g{i} = 'keys'\n"));
    assert_eq!(self::error(&format!("{groups}{last}"), &[]), "rules.toml:66:1: more than 64 named groups");
    let parameters: String = (0..257).fold("[parameters]\n".to_owned(), |text, i| format!("{text}p{i} = 1\n"));
    assert_eq!(self::error(&parameters, &[]), "rules.toml:258:1: more than 256 parameters");
    assert_eq!(self::error(&press("ATTACK").repeat(257), &[]), "rules.toml:769:1: more than 256 rules");
    let choices = format!("rule = [{{ when = 'true', press = [{}] }}]", "'ATTACK',".repeat(65));
    assert_eq!(self::error(&choices, &[]), "rules.toml:1:34: `press` has 65 choices; it must have 1 to 64");
}
