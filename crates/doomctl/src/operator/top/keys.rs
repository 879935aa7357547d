//! Keys of the terminal, read by a thread of their own and translated into what they ask for.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

/// The thread looks this often whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Up,
    Down,
    PageUp,
    PageDown,
    Sort,
    /// The terminal has another size: draw again.
    Redraw,
}

impl Key {
    fn of(event: &Event) -> Option<Self> {
        let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, .. }) = event else {
            return matches!(event, Event::Resize(..)).then_some(Self::Redraw);
        };
        match code {
            KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Some(Self::Quit),
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Self::Quit),
            KeyCode::Char('s') => Some(Self::Sort),
            KeyCode::Up | KeyCode::Char('k') => Some(Self::Up),
            KeyCode::Down | KeyCode::Char('j') => Some(Self::Down),
            KeyCode::PageUp => Some(Self::PageUp),
            KeyCode::PageDown | KeyCode::Char(' ') => Some(Self::PageDown),
            _ => None,
        }
    }
}

/// Keys as they come.
pub(super) struct Keys {
    keys: mpsc::Receiver<Key>,
    unwanted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keys {
    /// Starts to read them.
    pub(super) fn read() -> io::Result<Self> {
        let (keys_in, keys) = mpsc::channel(64);
        let unwanted = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&unwanted);
        let thread = std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while !stop.load(Relaxed) {
                let key = match event::poll(LOOK_EVERY) {
                    Ok(false) => continue,
                    Ok(true) => event::read().map(|event| Key::of(&event)),
                    Err(error) => Err(error),
                };
                // A terminal that can be read no more is gone; the end of the channel says so.
                let Ok(key) = key else { return };
                if key.is_some_and(|key| keys_in.blocking_send(key).is_err()) {
                    return;
                }
            }
        })?;
        Ok(Self { keys, unwanted, thread: Some(thread) })
    }

    /// The next one; `None` where the terminal is gone.
    pub(super) async fn next(&mut self) -> Option<Key> {
        self.keys.recv().await
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.unwanted.store(true, Relaxed);
        self.keys.close();
        if let Some(thread) = self.thread.take() {
            // It ends within its look; it has no panic to tell of.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_and_control_c_quit_and_letters_do_not() {
        let key = |code, modifiers| Key::of(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(Key::of(&Event::Resize(1, 1)), Some(Key::Redraw));
    }
}
