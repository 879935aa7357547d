//! What is done with hostile bytes, one function for each decoder. A panic is a finding, and so is memory out of proportion to the input: no
//! decoder may believe a length that it reads.

use std::path::Path;

use allocation_counter::measure;
use doom_game::Scenario;
use doom_policy::PolicyProgram;
use doom_protocol::{
    Codec, Decoded, Envelope, HealthReply, Id, SubjectRoot,
    control::{ControlReply, ControlRequest, Verb},
    pattern, payload,
    stream::StreamSet,
};

/// What any decoder may take, however short its input.
const BASE: u64 = 1 << 20;
/// And for each byte of it.
const PER_BYTE: u64 = 1 << 10;

/// # Panics
/// Where `decode` does, or where it held more memory at once than its input justifies.
fn bounded(data: &[u8], decode: impl FnOnce()) {
    let used = measure(decode).bytes_max;
    let most = BASE + PER_BYTE * data.len() as u64;
    assert!(used <= most, "{used} bytes of memory for {} of input", data.len());
}

/// The body of a command, and the last token of its subject.
pub fn control(data: &[u8]) {
    bounded(data, || {
        let id: Id = "A".parse().expect("an id");
        if let Ok(request) = ControlRequest::parse(data) {
            let _ = request.addresses(&id, Some("e"), Some("g"));
            let again = Codec::Json;
            let mut bytes = Vec::new();
            again.encode(&request, &mut bytes).expect("what was read can be written");
            assert_eq!(ControlRequest::parse(&bytes), Ok(request));
        }
        if let Ok(text) = std::str::from_utf8(data) {
            let _ = text.parse::<Verb>();
            let _ = text.parse::<Id>();
            let _ = text.parse::<SubjectRoot>();
        }
    });
}

/// What a worker is asked to play.
pub fn evaluation(data: &[u8]) {
    bounded(data, || {
        if let Ok(request) = payload::EvaluationRequest::parse(data) {
            let (episodes, checked) = (request.episodes(), request.check());
            if checked.is_ok() && episodes > 0 {
                let _ = request.seed_of(1);
                let _ = request.seed_of(episodes);
            }
        }
    });
}

/// What is decoded can be encoded, and what is read of that is encoded to the same bytes. A macro, for the types borrow from the bytes.
macro_rules! round {
    ($codec:expr, $data:expr, $($type:ty),+ $(,)?) => {$(
        if let Ok(value) = $codec.decode::<$type>($data) {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            $codec.encode(&value, &mut first).expect("what was read can be written");
            // JSON has no word for what is no number; such a value is refused when it is read again.
            if let Ok(again) = $codec.decode::<$type>(&first) {
                $codec.encode(&again, &mut second).expect("what was read can be written");
                assert!(first == second, "what is written differs from what is written of it");
            }
        }
    )+};
}

fn envelopes(codec: Codec, data: &[u8]) {
    bounded(data, || {
        let _ = Decoded::read(codec, data);
        round!(
            codec,
            data,
            Envelope<payload::Action>,
            Envelope<payload::Observe>,
            Envelope<payload::Score>,
            Envelope<payload::Death>,
            Envelope<payload::Frame>,
            Envelope<payload::Lifecycle>,
            Envelope<payload::ErrorEvent>,
            Envelope<payload::Metric>,
            Envelope<payload::ExperimentRun>,
            Envelope<HealthReply>,
            HealthReply,
            ControlReply,
            payload::EvaluationProgress,
            payload::EvaluationResult,
        );
    });
}

/// Events and replies as JSON.
pub fn envelope_json(data: &[u8]) {
    envelopes(Codec::Json, data);
}

/// Events as MessagePack.
pub fn envelope_msgpack(data: &[u8]) {
    envelopes(Codec::Msgpack, data);
}

/// A scenario file: what is read can be printed, and read again it is the same.
pub fn scenario(data: &[u8]) {
    bounded(data, || {
        let parse = |bytes: &[u8]| Scenario::parse("fuzz.cfg", bytes, Path::new("/nonexistent"), &[]);
        match parse(data) {
            Ok(scenario) => {
                let text = scenario.to_cfg();
                let again = parse(text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"));
                assert_eq!(again.to_cfg(), text);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

/// A rules file.
pub fn rules(data: &[u8]) {
    bounded(data, || match PolicyProgram::rules(Path::new("fuzz.toml"), data.to_vec(), &[]) {
        Ok(program) => drop(program.needs()),
        Err(error) => assert!(!error.to_string().is_empty()),
    });
}

/// The agent's configuration file.
pub fn settings(data: &[u8]) {
    bounded(data, || {
        if let Ok(text) = std::str::from_utf8(data)
            && let Err(error) = doom_agent::settings::check_text(Path::new("agent.toml"), text)
        {
            assert!(!error.to_string().is_empty());
        }
    });
}

/// The file that declares the streams: what is read can be told apart, and each stream is found by its name.
pub fn streams(data: &[u8]) {
    bounded(data, || {
        let Ok(text) = std::str::from_utf8(data) else { return };
        match StreamSet::parse(text) {
            Ok(set) => {
                let mut taken: Vec<String> = Vec::new();
                for stream in set.iter() {
                    assert_eq!(set.get(&stream.name), Some(stream));
                    for subject in stream.all_subjects("root") {
                        assert!(taken.iter().all(|t| !pattern::overlaps(t, &subject)), "{subject} is taken twice");
                        taken.push(subject);
                    }
                }
            }
            Err(error) => {
                assert!((1..=text.lines().count() + 1).contains(&error.line), "line {} of {}", error.line, text.lines().count());
                assert!(!error.message.is_empty());
            }
        }
    });
}

/// Planted, so that a run of it shows that the whole arrangement finds what it should: these bytes must be felt for one by one.
///
/// # Panics
/// For input that begins with `DOOM!`.
pub fn canary(data: &[u8]) {
    if let [b'D', b'O', b'O', b'M', b'!', ..] = data {
        panic!("the canary was found");
    }
}
