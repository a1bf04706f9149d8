//! The terminal: drawn on, listened to, and left as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::interval;

use super::model::{Key, Model};
use super::sample::Heard;
use super::view;
use crate::clock::Started;
use crate::failure::Failure;

/// The age of old figures is drawn anew so often.
const TICK: Duration = Duration::from_secs(1);

/// The thread that waits for keys looks so often whether it shall end.
const KEYS_WAIT: Duration = Duration::from_millis(100);

/// Restores the terminal when it is dropped. At a panic the hook that `try_init` sets does it before the message.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows the model until somebody quits, or a signal says so.
pub(super) async fn show(
    started: Started,
    mut heard: mpsc::Receiver<Heard>,
) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("cannot watch for signals: {error}"));
    let mut ends = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()]
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let restore = Restore;
    let mut terminal = ratatui::try_init()?;
    let (mut keys, stop) = keys();
    let mut ticks = interval(TICK);
    let mut model = Model::new();
    while !model.has_quit {
        draw(&mut terminal, &model, started)?;
        break_when_told(&model);
        let ended = futures_util::future::select_all(ends.iter_mut().map(|it| Box::pin(it.recv())));
        tokio::select! {
            _ = ended => break,
            round = heard.recv() => match round {
                Some(round) => model.hear(round),
                // Figures that nobody renews must not pass for those of now.
                None => return Err(Failure::failed("what asks the brokers has broken down")),
            },
            event = keys.recv() => match event {
                Some(event) => press(&mut model, &event),
                None => break,
            },
            _ = ticks.tick() => {}
        }
    }
    stop.store(true, Ordering::Relaxed);
    drop(restore);
    Ok(())
}

/// What a panic leaves of the terminal can be tried only where one is to be had.
#[cfg(feature = "defects")]
fn break_when_told(model: &Model) {
    if model.heard_at.is_some() {
        std::env::var("THALWEG_TOP_BREAKS").expect_err("a test asks for it");
    }
}

#[cfg(not(feature = "defects"))]
const fn break_when_told(_model: &Model) {}

fn draw(terminal: &mut DefaultTerminal, model: &Model, started: Started) -> Result<(), Failure> {
    terminal.draw(|frame| view::draw(model, started.elapsed(), frame))?;
    Ok(())
}

/// A thread that reads keys; its channel is bounded, and closes when the terminal is gone.
fn keys() -> (mpsc::Receiver<Event>, Arc<AtomicBool>) {
    let (sender, receiver) = mpsc::channel(64);
    let stop = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&stop);
    std::thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            let read =
                event::poll(KEYS_WAIT).and_then(|is_there| is_there.then(event::read).transpose());
            let Ok(event) = read else { return };
            if event.is_some_and(|event| sender.blocking_send(event).is_err()) {
                return;
            }
        }
    });
    (receiver, stop)
}

fn press(model: &mut Model, event: &Event) {
    let Event::Key(key) = event else { return };
    if key.kind == KeyEventKind::Release {
        return;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        model.has_quit = true;
        return;
    }
    model.press(match key.code {
        KeyCode::Char(char) => Key::Char(char),
        KeyCode::Enter => Key::Enter,
        KeyCode::Backspace => Key::Back,
        KeyCode::Esc => Key::Escape,
        KeyCode::Tab => Key::Tab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        _ => return,
    });
}
