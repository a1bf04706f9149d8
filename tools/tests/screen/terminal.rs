//! A terminal without a window: a pair of pseudo-terminals, and what its screen would show.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::support::{DEADLINE, wait};

const LINES: NonZero<u16> = NonZero::new(24).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(80).unwrap();

pub struct Terminal {
    child: Child,
    keys: File,
    /// The program's side, held open so that its modes can be looked at when the program has ended.
    inner: File,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Terminal {
    /// Starts a program in a terminal of 80 columns and 24 lines.
    pub fn start(command: &mut Command) -> Self {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outer).unwrap();
        unlockpt(&outer).unwrap();
        let size =
            Winsize { ws_row: LINES.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&outer, size).unwrap();
        let name = ptsname(&outer, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let inner = File::from(rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap());
        let stdio = || Stdio::from(inner.try_clone().unwrap());
        command.env("TERM", "xterm-256color").stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = command.spawn().unwrap();
        // What the command keeps for a second start would keep the terminal open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let keys = File::from(outer);
        let mut reader = keys.try_clone().unwrap();
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, inner, output, screen: vt100::Parser::new(LINES, COLUMNS, 0) }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until the screen is as wanted, and gives it.
    #[expect(clippy::disallowed_methods, reason = "a deadline")]
    pub fn until(&mut self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let screen = self.screen.screen().contents();
            if is_there(&screen) {
                return screen;
            }
            let left = end.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("{what} did not come; the screen:\n{screen}");
            };
            self.screen.process(&bytes);
        }
    }

    /// Another size, as when a window is dragged. The program has no session of its own, so the signal is sent by hand.
    pub fn resize(&mut self, lines: u16, columns: u16) {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keys, size).unwrap();
        let some = |number| NonZero::new(number).unwrap();
        self.screen.screen_mut().set_size(some(lines), some(columns));
        self.signal(Signal::WINCH);
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The exit code.
    pub fn end(&mut self) -> i32 {
        wait(&mut self.child).code().unwrap_or(-1)
    }

    /// Whether lines are edited and echoed again, and the first screen is back.
    pub fn is_restored(&mut self) -> bool {
        let modes = tcgetattr(&self.inner).unwrap().local_modes;
        // The program's last bytes may still be on their way.
        self.until("the first screen", |screen| !screen.contains("thalweg top"));
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
            && !self.screen.screen().alternate_screen()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Ended already, or a test has failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
