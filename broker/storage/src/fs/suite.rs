//! What every file system must do: one suite, run against the machine's and the simulated one.

use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::sim::SimDisk;
use super::{File, FileSystem, OsFileSystem};

/// Runs each case of the suite against each implementation, as a test of its own.
macro_rules! suite {
    ($($case:ident,)+) => {
        mod os {
            $(#[test] fn $case() {
                let folder = tempfile::tempdir().expect("a temporary folder");
                super::$case(&super::OsFileSystem, folder.path());
            })+
        }
        mod sim {
            $(#[test] fn $case() {
                let disk = super::SimDisk::new(7);
                let root = std::path::Path::new("/data/disk");
                super::FileSystem::create_folder(&disk, root).expect("the root");
                super::$case(&disk, root);
            })+
        }
    };
}

suite! {
    a_file_is_created_once,
    a_missing_file_is_not_found,
    bytes_are_read_where_they_were_written,
    many_large_parts_are_written_one_after_the_other,
    a_read_is_short_at_the_end_only,
    a_gap_reads_as_zeros,
    set_length_cuts_and_lengthens_by_zeros,
    preallocation_keeps_the_length_and_the_bytes,
    read_small_refuses_a_larger_file,
    a_removed_file_stays_readable_through_what_is_open,
    a_rename_replaces_the_old_file,
    a_folder_is_renamed_with_what_is_in_it,
    a_list_is_in_the_order_of_names,
    a_folder_is_removed_with_all_that_is_in_it,
    folders_and_files_are_told_apart,
    everything_can_be_synced,
    there_is_space,
    a_lock_is_held_until_dropped,
    a_map_shows_what_is_written_after_it_was_made,
    a_slice_outlives_the_file_and_its_name,
    a_populated_range_is_resident,
    what_was_read_is_read_again_without_waiting,
    populating_past_the_end_is_an_error,
    a_file_is_written_and_read_by_several_threads,
}

fn file_of(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) -> Arc<dyn File> {
    let file = fs.create(path).unwrap();
    file.write_at(0, &[bytes]).unwrap();
    file
}

fn content(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

fn a_file_is_created_once(fs: &dyn FileSystem, root: &Path) {
    let path = root.join("a.log");
    assert!(!fs.exists(&path));
    fs.create(&path).unwrap();
    assert!(fs.exists(&path));
    assert_eq!(fs.create(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs.open(&path).unwrap().length().unwrap(), 0);
}

fn a_missing_file_is_not_found(fs: &dyn FileSystem, root: &Path) {
    let path = root.join("a.log");
    let in_missing_folder = root.join("b/a.log");
    let errors = [
        fs.open(&path).err(),
        fs.read_small(&path, 10).err(),
        fs.remove(&path).err(),
        fs.rename(&path, &root.join("b.log")).err(),
        fs.list(&path).err(),
        fs.sync_folder(&path).err(),
        fs.remove_folder(&path).err(),
        fs.create(&in_missing_folder).err(),
        fs.space(&path).err(),
    ];
    for error in errors {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::NotFound));
    }
}

fn bytes_are_read_where_they_were_written(fs: &dyn FileSystem, root: &Path) {
    let file = file_of(fs, &root.join("a"), b"0123456789");
    file.write_at(3, &[b"ab", b"", b"c"]).unwrap();
    file.write_at(9, &[b"xyz"]).unwrap();
    file.write_at(100, &[]).unwrap();
    assert_eq!(content(&*file), b"012abc678xyz");
    let again = fs.open(&root.join("a")).unwrap();
    assert_eq!(content(&*again), b"012abc678xyz");
}

fn many_large_parts_are_written_one_after_the_other(fs: &dyn FileSystem, root: &Path) {
    let pattern: Vec<u8> = (0..251).cycle().take(1_000_003).collect();
    let mut parts: Vec<&[u8]> = vec![&pattern[..16], &pattern[16..700_000], &[]];
    parts.extend(pattern[700_000..700_040].chunks(1));
    parts.push(&pattern[700_040..]);
    let file = fs.create(&root.join("a")).unwrap();
    file.write_at(5, &parts).unwrap();
    let written = content(&*file);
    assert_eq!(written[..5], [0; 5]);
    assert!(written[5..] == pattern, "the parts lie one after the other");
}

fn a_read_is_short_at_the_end_only(fs: &dyn FileSystem, root: &Path) {
    let file = file_of(fs, &root.join("a"), b"0123456789");
    let mut buffer = [b'-'; 4];
    assert_eq!(file.read_at(6, &mut buffer).unwrap(), 4);
    assert_eq!(&buffer, b"6789");
    assert_eq!(file.read_at(8, &mut buffer).unwrap(), 2);
    assert_eq!(&buffer[..2], b"89");
    assert_eq!(file.read_at(10, &mut buffer).unwrap(), 0);
    assert_eq!(file.read_at(1000, &mut buffer).unwrap(), 0);
    assert_eq!(file.read_at(0, &mut []).unwrap(), 0);
}

fn a_gap_reads_as_zeros(fs: &dyn FileSystem, root: &Path) {
    let file = file_of(fs, &root.join("a"), b"ab");
    file.write_at(5, &[b"c"]).unwrap();
    assert_eq!(content(&*file), b"ab\0\0\0c");
}

fn set_length_cuts_and_lengthens_by_zeros(fs: &dyn FileSystem, root: &Path) {
    let file = file_of(fs, &root.join("a"), b"0123456789");
    file.set_length(4).unwrap();
    assert_eq!(content(&*file), b"0123");
    file.set_length(6).unwrap();
    assert_eq!(content(&*file), b"0123\0\0");
}

fn preallocation_keeps_the_length_and_the_bytes(fs: &dyn FileSystem, root: &Path) {
    let file = file_of(fs, &root.join("a"), b"0123");
    if let Err(error) = file.preallocate(100_000) {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        return;
    }
    assert_eq!(content(&*file), b"0123");
    file.preallocate(2).unwrap();
    file.write_at(4, &[b"45"]).unwrap();
    assert_eq!(content(&*file), b"012345");
    file.set_length(6).unwrap();
    assert_eq!(content(&*file), b"012345");
}

fn read_small_refuses_a_larger_file(fs: &dyn FileSystem, root: &Path) {
    let path = root.join("meta.properties");
    file_of(fs, &path, b"0123456789");
    assert_eq!(fs.read_small(&path, 10).unwrap(), b"0123456789");
    assert_eq!(fs.read_small(&path, 1000).unwrap(), b"0123456789");
    let error = fs.read_small(&path, 9).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    assert!(error.to_string().contains("meta.properties"), "{error}");
}

fn a_removed_file_stays_readable_through_what_is_open(fs: &dyn FileSystem, root: &Path) {
    let path = root.join("a");
    let file = file_of(fs, &path, b"0123");
    let map = file.map(1000).unwrap();
    fs.remove(&path).unwrap();
    assert!(!fs.exists(&path));
    fs.sync_folder(root).unwrap();
    assert_eq!(content(&*file), b"0123");
    assert_eq!(&map.slice(1, 2)[..], b"12");
    let other = file_of(fs, &path, b"other");
    assert_eq!(content(&*file), b"0123");
    assert_eq!(content(&*other), b"other");
}

fn a_rename_replaces_the_old_file(fs: &dyn FileSystem, root: &Path) {
    let (from, to) = (root.join("checkpoint.tmp"), root.join("checkpoint"));
    file_of(fs, &to, b"old");
    let file = file_of(fs, &from, b"new");
    fs.rename(&from, &to).unwrap();
    assert!(!fs.exists(&from));
    assert_eq!(fs.read_small(&to, 10).unwrap(), b"new");
    file.write_at(0, &[b"N"]).unwrap();
    assert_eq!(fs.read_small(&to, 10).unwrap(), b"New");
    fs.rename(&to, &to).unwrap();
    assert_eq!(fs.list(root).unwrap(), [to]);
}

fn a_folder_is_renamed_with_what_is_in_it(fs: &dyn FileSystem, root: &Path) {
    let (from, to) = (root.join("t-0"), root.join("t-0.deleted"));
    fs.create_folder(&from).unwrap();
    file_of(fs, &from.join("a"), b"0123");
    fs.rename(&from, &to).unwrap();
    assert!(!fs.exists(&from) && !fs.exists(&from.join("a")));
    assert_eq!(fs.read_small(&to.join("a"), 10).unwrap(), b"0123");
}

fn a_list_is_in_the_order_of_names(fs: &dyn FileSystem, root: &Path) {
    assert!(fs.list(root).unwrap().is_empty());
    for name in ["20.log", "00.log", "10.log"] {
        fs.create(&root.join(name)).unwrap();
    }
    fs.create_folder(&root.join("05")).unwrap();
    let expected = ["00.log", "05", "10.log", "20.log"].map(|name| root.join(name));
    assert_eq!(fs.list(root).unwrap(), expected);
}

fn a_folder_is_removed_with_all_that_is_in_it(fs: &dyn FileSystem, root: &Path) {
    let folder = root.join("a");
    fs.create_folder(&folder.join("b/c")).unwrap();
    fs.create_folder(&folder.join("b")).unwrap();
    file_of(fs, &folder.join("b/c/file"), b"0123");
    file_of(fs, &root.join("ab"), b"beside");
    fs.remove_folder(&folder).unwrap();
    assert!(!fs.exists(&folder) && !fs.exists(&folder.join("b/c/file")));
    assert_eq!(fs.list(root).unwrap(), [root.join("ab")]);
    fs.create_folder(&folder).unwrap();
    assert!(fs.list(&folder).unwrap().is_empty());
}

fn folders_and_files_are_told_apart(fs: &dyn FileSystem, root: &Path) {
    let (file, folder) = (root.join("file"), root.join("folder"));
    file_of(fs, &file, b"0123");
    fs.create_folder(&folder).unwrap();
    assert!(fs.open(&folder).is_err());
    assert!(fs.remove(&folder).is_err());
    assert!(fs.read_small(&folder, 10).is_err());
    assert!(fs.list(&file).is_err());
    assert!(fs.create(&file.join("below")).is_err());
    assert!(fs.create_folder(&file).is_err());
    assert!(fs.remove_folder(&file).is_err());
    file_of(fs, &folder.join("below"), b"");
    assert!(fs.rename(&folder, &file).is_err());
    assert!(fs.rename(&file, &folder).is_err());
    assert!(fs.exists(&file) && fs.exists(&folder.join("below")));
}

fn everything_can_be_synced(fs: &dyn FileSystem, root: &Path) {
    let path = root.join("a");
    let file = file_of(fs, &path, b"0123");
    file.sync().unwrap();
    file.sync().unwrap();
    fs.sync_folder(root).unwrap();
    assert_eq!(fs.read_small(&path, 10).unwrap(), b"0123");
}

fn there_is_space(fs: &dyn FileSystem, root: &Path) {
    let space = fs.space(root).unwrap();
    assert!(space.free > 0 && space.free <= space.total, "{space:?}");
}

fn a_lock_is_held_until_dropped(fs: &dyn FileSystem, root: &Path) {
    let path = root.join(".lock");
    let lock = fs.lock(&path).unwrap();
    assert!(fs.exists(&path));
    let refused = fs.lock(&path).err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::WouldBlock));
    drop(lock);
    fs.lock(&path).unwrap();
}

fn a_map_shows_what_is_written_after_it_was_made(fs: &dyn FileSystem, root: &Path) {
    let file = fs.create(&root.join("a")).unwrap();
    let map = file.map(1 << 20).unwrap();
    assert!(Arc::clone(&map).slice(0, 0).is_empty());
    let block: Vec<u8> = (0..253).cycle().take(10_000).collect();
    for round in 0..20_usize {
        let position = round * block.len();
        file.write_at(position as u64, &[&block]).unwrap();
        assert_eq!(Arc::clone(&map).slice(position, block.len()), block);
    }
    assert_eq!(map.slice(9_990, 20)[..], [&block[9_990..], &block[..10]].concat());
}

fn a_slice_outlives_the_file_and_its_name(fs: &dyn FileSystem, root: &Path) {
    let path = root.join("a");
    let file = file_of(fs, &path, b"0123456789");
    let slice = file.map(4096).unwrap().slice(2, 5);
    drop(file);
    fs.remove(&path).unwrap();
    assert_eq!(&slice[..], b"23456");
    assert_eq!(&slice.slice(1..3)[..], b"34");
    // As a socket takes it.
    assert_eq!(IoSlice::new(&slice).len(), 5);
}

fn what_was_read_is_read_again_without_waiting(fs: &dyn FileSystem, root: &Path) {
    let file = fs.create(&root.join("a")).unwrap();
    file.write_at(0, &[&[7; 10_000]]).unwrap();
    let mut buffer = vec![0; 6_000];
    assert_eq!(file.read_at(5_000, &mut buffer).unwrap(), 5_000);
    match file.read_now(5_000, &mut buffer) {
        Ok(read) => assert_eq!((read, &buffer[..read]), (5_000, &[7; 5_000][..])),
        // A file system in memory cannot tell.
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
    // A hint; what is written stays.
    file.forget(0, 10_000);
    assert_eq!(file.read_at(0, &mut buffer).unwrap(), 6_000);
}

fn a_populated_range_is_resident(fs: &dyn FileSystem, root: &Path) {
    let file = file_of(fs, &root.join("a"), &vec![7; 300_000]);
    let map = file.map(1 << 20).unwrap();
    map.populate(1000, 299_000).unwrap();
    assert!(map.is_resident(1000, 299_000));
    assert!(map.is_resident(299_999, 1));
    assert!(map.is_resident(0, 0));
    map.populate(0, 0).unwrap();
}

fn populating_past_the_end_is_an_error(fs: &dyn FileSystem, root: &Path) {
    let file = file_of(fs, &root.join("a"), &[7; 5000]);
    let map = file.map(1 << 20).unwrap();
    map.populate(0, 5000).unwrap();
    assert!(map.populate(0, 50_000).is_err());
}

fn a_file_is_written_and_read_by_several_threads(fs: &dyn FileSystem, root: &Path) {
    let file = fs.create(&root.join("a")).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4_u8 {
            let file = &file;
            scope.spawn(move || {
                for block in 0..50_u64 {
                    let position = (block * 4 + u64::from(writer)) * 100;
                    file.write_at(position, &[&[writer; 60], &[writer; 40]]).unwrap();
                    file.sync().unwrap();
                }
            });
        }
    });
    let bytes = content(&*file);
    assert_eq!(bytes.len(), 20_000);
    for (block, writer) in bytes.chunks(100).zip((0..4).cycle()) {
        assert_eq!(block, [writer; 100]);
    }
}
