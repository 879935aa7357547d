//! `agent.frame`: pictures of the screen, for whoever watches and for no stream.

use std::{sync::Arc, time::Duration};

use crate::support::{
    Backend, Event, JetStream, Spec, Tap, WITHIN,
    http::{metric, wait_get},
    nats_with_streams, on_both,
};

on_both!(
    a_png_of_every_nth_step_is_the_body_and_the_headers_say_the_rest,
    raw_is_the_engines_own_bytes_and_jpeg_a_jpeg,
    msgpack_carries_the_picture_as_binary_data_in_the_envelope,
    frames_take_no_seq_and_no_stream,
    what_nobody_could_see_or_show_is_refused,
);

const FRAMES: &str = "clau-doom.agent.A.frame";

/// Plays one episode of basic in real time (so that nothing has to be dropped), and returns what was heard.
fn play(backend: Backend, more: &[&str]) -> Vec<Arc<Event>> {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec =
        Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--episodes", "1", "--set", "episode_timeout=60", "--pace", "100"]);
    let mut agent = spec.with(&["--frame-every", "5", "--policy", "cycle:NOOP"]).with(more).spawn();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    tap.lifecycle("A", "stopped");
    tap.catch_up();
    assert_eq!(JetStream::open(&server.url()).count("AGENT_EVENTS", FRAMES), 0, "no stream keeps pictures");
    tap.events()
}

fn frames(events: &[Arc<Event>]) -> Vec<&Event> {
    events.iter().filter(|e| e.subject == FRAMES).map(|e| &**e).collect()
}

fn decode(png: &[u8]) -> (u32, u32, png::ColorType, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, info.color_type, pixels)
}

fn a_png_of_every_nth_step_is_the_body_and_the_headers_say_the_rest(backend: Backend) {
    for (format, colour) in [("GRAY8", png::ColorType::Grayscale), ("CRCGCB", png::ColorType::Rgb)] {
        let setting = format!("screen_format={format}");
        let events = play(backend, &["--frames", "png", "--set", &setting, "--experiment", "e", "--run", "3"]);
        let frames = frames(&events);
        assert!(frames.len() >= 5, "{} frames", frames.len());
        for (i, frame) in frames.iter().enumerate() {
            assert_eq!(frame.header("Content-Type"), "image/png");
            assert_eq!(frame.header("type"), "agent.frame");
            let step = i as u64 * 5;
            assert_eq!(frame.header("step"), step.to_string(), "the reset's, and those of every fifth step");
            let observe = events.iter().find(|e| e.leaf() == "observe" && e.payload()["step"] == step).unwrap();
            assert_eq!(frame.header("tic"), observe.payload()["tic"].to_string());
            for header in ["trace-id", "timestamp", "instance", "backend", "source-agent"] {
                assert_eq!(frame.header(header), observe.header(header), "{header}");
            }
            assert_eq!(frame.header("episode-id"), observe.payload()["episode_id"]);
            assert_eq!((frame.header("experiment-id"), frame.header("run-id")), ("e", "3"));
            assert_eq!([frame.header("format"), frame.header("width"), frame.header("height")], [format, "160", "120"]);
            assert_eq!(frame.header("encoding"), "png");
            let (width, height, kind, pixels) = decode(&frame.bytes);
            assert_eq!((width, height, kind), (160, 120, colour));
            assert!(pixels.iter().any(|p| p.abs_diff(pixels[0]) > 20), "it shows something");
        }
    }
}

fn raw_is_the_engines_own_bytes_and_jpeg_a_jpeg(backend: Backend) {
    let events = play(backend, &["--frames", "raw", "--set", "screen_format=BGRA32"]);
    let raw = frames(&events);
    assert!(!raw.is_empty());
    for frame in raw {
        assert_eq!(frame.header("Content-Type"), "application/octet-stream");
        assert_eq!((frame.header("encoding"), frame.header("format")), ("raw", "BGRA32"));
        assert_eq!(frame.bytes.len(), 160 * 120 * 4);
        assert!(frame.bytes.chunks(4).any(|p| p != &frame.bytes[..4]));
    }
    let events = play(backend, &["--frames", "jpeg"]);
    let jpegs = frames(&events);
    assert!(!jpegs.is_empty());
    for frame in jpegs {
        assert_eq!(frame.header("Content-Type"), "image/jpeg");
        assert_eq!((&frame.bytes[..3], &frame.bytes[frame.bytes.len() - 2..]), (&[0xff, 0xd8, 0xff][..], &[0xff, 0xd9][..]));
    }
}

fn msgpack_carries_the_picture_as_binary_data_in_the_envelope(backend: Backend) {
    let events = play(backend, &["--frames", "raw", "--codec", "msgpack"]);
    let frames = frames(&events);
    assert!(!frames.is_empty());
    for frame in frames {
        assert_eq!(frame.header("Content-Type"), "application/msgpack");
        let envelope = rmpv::decode::read_value(&mut &frame.bytes[..]).unwrap();
        assert_eq!(envelope["type"].as_str(), Some("agent.frame"));
        assert_eq!(envelope["trace_id"].as_str(), Some(frame.header("trace-id")));
        let payload = &envelope["payload"];
        assert_eq!([payload["format"].as_str(), payload["encoding"].as_str()], [Some("GRAY8"), Some("raw")]);
        assert_eq!([payload["width"].as_u64(), payload["height"].as_u64()], [Some(160), Some(120)]);
        assert_eq!(payload["step"].as_u64().unwrap() % 5, 0);
        assert!(payload["data"].is_bin(), "bin, not an array of numbers");
        assert_eq!(payload["data"].as_slice().unwrap().len(), 160 * 120);
    }
}

fn frames_take_no_seq_and_no_stream(backend: Backend) {
    let events = play(backend, &["--frames", "png"]);
    assert!(frames(&events).iter().all(|f| f.seq().is_none()));
    let mut seqs: Vec<u64> = events.iter().filter_map(|e| e.seq()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "without a gap");
}

fn what_nobody_could_see_or_show_is_refused(backend: Backend) {
    let server = nats_with_streams();
    let spec = || Spec::new(backend, "A", "basic.cfg").with(&["--episodes", "1"]);
    let (code, _, said) = spec().with(&["--frames", "png"]).run();
    assert!(code == 2 && said.contains("--frames png needs NATS"), "{code} {said}");
    let (code, _, said) = spec().nats(&server).with(&["--frames", "jpeg", "--set", "screen_format=DOOM_256_COLORS8"]).run();
    assert!(code == 65 && said.contains("--frames raw") && said.contains("DOOM_256_COLORS8"), "{code} {said}");
    let large = ["--frames", "raw", "--set", "screen_format=RGB24", "--set", "screen_resolution=RES_800X600"];
    let (code, _, said) = spec().nats(&server).with(&large).run();
    assert!(code == 65 && said.contains("1440000 bytes") && said.contains("1048576"), "{code} {said}");
}

#[test]
fn frames_that_find_no_room_are_counted_and_hold_up_nobody() {
    let server = nats_with_streams();
    // Every step's, large and often: more than can be encoded.
    let more =
        ["--pace", "300", "--frames", "png", "--frame-every", "1", "--http", "127.0.0.1:0", "--set", "screen_resolution=RES_1600X1200"];
    let mut agent = Spec::new(Backend::Mock, "A", "basic.cfg").nats(&server).with(&more).spawn_ready();
    let address = agent.http();
    let text = wait_get(&address, "/metrics", "dropped frames", |_, text| {
        metric(text, "frames_dropped") > 0.0 && metric(text, "frames_published") > 0.0
    });
    assert_eq!(metric(&text, "telemetry_dropped"), 0.0);
    agent.signal(rustix::process::Signal::TERM);
    assert_eq!(agent.wait_exit(Duration::from_secs(10)), 0);
}
