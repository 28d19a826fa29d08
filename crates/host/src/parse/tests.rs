use super::*;
use proptest::prelude::*;

#[test]
fn cpu_ticks_leave_out_idle_waiting_and_guests() {
    let text = "cpu  100 10 50 1000 40 5 3 7 90 9\ncpu0 50 5 25 500 20 2 1 3 0 0\n\
                cpu1 50 5 25 500 20 3 2 4 0 0\nintr 1 2 3\nctxt 99\nbtime 1764000000\n";
    let ticks = cpu_ticks(text).unwrap();
    assert_eq!(ticks.busy, 100 + 10 + 50 + 5 + 3 + 7);
    assert_eq!((ticks.iowait, ticks.steal, ticks.online_cpus), (40, 7, 2));
    assert_eq!(ticks.boot_time_s, 1_764_000_000);
    assert_eq!(cpu_ticks("nothing of the kind"), None);
}

#[test]
fn ticks_of_each_cpu_are_read_in_turns() {
    let text = "cpu  1 1 1 1\ncpu0 50 5 25 500 20 2 1 3 9 9\ncpu2 1 1 1 1\ncpu7 10\nintr 1 2\n\
                cpu9 1 1 1 1\n";
    let mut cores = Vec::new();
    core_ticks(text, 1, 0, &mut cores);
    assert_eq!(cores.iter().map(|core| core.number).collect::<Vec<_>>(), [0, 2, 7]);
    let busy = 50 + 5 + 25 + 2 + 1 + 3;
    assert_eq!(cores[0], CoreTicks { number: 0, busy, total: busy + 520 });
    assert_eq!(cores[2], CoreTicks { number: 7, busy: 10, total: 10 });
    core_ticks(text, 2, 1, &mut cores);
    assert_eq!(cores, [CoreTicks { number: 2, busy: 3, total: 4 }]);
}

#[test]
fn memory_is_in_bytes() {
    let text = "MemTotal:       16000 kB\nMemFree: 1 kB\nMemAvailable: 9000 kB\n\
                SwapTotal: 2000 kB\nSwapFree: 1500 kB\n";
    let expected = Memory {
        cached: 0,
        total: 16000 << 10,
        available: 9000 << 10,
        swap_total: 2000 << 10,
        swap_free: 1500 << 10,
    };
    assert_eq!(memory(text), Some(expected));
    assert_eq!(memory(""), None);
}

#[test]
fn only_whole_disks_count() {
    let text = "\
   7       0 loop0 9 9 9 9 9 9 9 9 0 0 0
   8       0 sda 1 0 100 0 1 0 10 0 0 0 0
   8       1 sda1 1 0 90 0 1 0 9 0 0 0 0
   8      16 sdaa 1 0 1000 0 1 0 100 0 0 0 0
 259       0 nvme0n1 1 0 10000 0 1 0 1000 0 0 0 0
 259       1 nvme0n1p1 1 0 9 0 1 0 9 0 0 0 0
 259       2 nvme0n10 1 0 100000 0 1 0 10000 0 0 0 0
 259       3 nvme0c1n1 1 0 7 0 1 0 7 0 0 0 0
 253       0 dm-0 1 0 5 0 1 0 5 0 0 0 0
 202       1 xvda1 1 0 1000000 0 1 0 100000 0 0 0 0
";
    assert_eq!(disks(text), Traffic { inward: 1_111_100 * 512, outward: 111_110 * 512 });
}

#[test]
fn loopback_and_inner_interfaces_do_not_count() {
    let text = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo: 5000 1 0 0 0 0 0 0 5000 1 0 0 0 0 0 0
  eth0: 700 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0
eth0.12: 700 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0
docker0:9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0
 wlan0:7 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0
";
    assert_eq!(networks(text), Traffic { inward: 707, outward: 33 });
}

#[test]
fn a_process_name_may_hold_brackets_spaces_and_bytes() {
    let line = b"42 (a) b (\xffc) S 1 42 42 0 -1 4194304 99 0 3 0 250 50 7 7 20 0 12 0 142592 \
                 3133440 345 18446744073709551615 1 1 0 0\n";
    let stat = process_stat(line).unwrap();
    assert_eq!(stat.name, b"a) b (\xffc");
    assert_eq!((stat.cpu_ticks, stat.threads, stat.major_faults), (300, 12, 3));
    assert_eq!((stat.started_ticks, stat.rss_pages, stat.is_zombie), (142_592, 345, false));
}

#[test]
fn process_io_needs_both_numbers() {
    let text = "rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\n";
    assert_eq!(process_io(text), Some(Traffic { inward: 4096, outward: 8192 }));
    assert_eq!(process_io("read_bytes: 4096\n"), None);
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = process_stat(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = (cpu_ticks(&text), memory(&text), disks(&text), networks(&text));
        let _ = (process_io(&text), named_number(&text, "a"));
        core_ticks(&text, 3, 1, &mut Vec::new());
    }

    #[test]
    fn no_kernel_line_makes_a_parser_panic(text in "[0-9 ()a-z:.\n-]{0,300}") {
        let _ = process_stat(text.as_bytes());
        let _ = (cpu_ticks(&text), memory(&text), disks(&text), networks(&text));
        core_ticks(&format!("cpu0 {text}"), 1, 0, &mut Vec::new());
    }
}
