//! NVIDIA's GPUs by a driver that the test makes up.

use std::cell::RefCell;

use super::*;

thread_local! {
    /// What the driver is and says at present.
    static SAYS: RefCell<Says> = RefCell::default();
}

#[derive(Default)]
struct Says {
    opened: u32,
    /// Whatever is asked.
    failure: Option<Failure>,
    gpus: Vec<Result<(Card, Reading), Failure>>,
}

#[derive(Debug)]
struct Made;

fn says<T>(ask: impl FnOnce(&mut Says) -> T) -> T {
    SAYS.with_borrow_mut(ask)
}

fn fails() -> Result<(), Failure> {
    says(|says| says.failure.clone()).map_or(Ok(()), Err)
}

fn open() -> Result<Box<dyn Driver>, Failure> {
    says(|says| says.opened += 1);
    fails().map(|()| Box::new(Made) as Box<dyn Driver>)
}

fn gpu(index: u32) -> Result<(Card, Reading), Failure> {
    fails()?;
    says(|says| says.gpus[index as usize].clone())
}

impl Driver for Made {
    fn count(&mut self) -> Result<u32, Failure> {
        fails()?;
        Ok(says(|says| says.gpus.len() as u32))
    }

    fn card(&mut self, index: u32) -> Result<Card, Failure> {
        gpu(index).map(|(card, _)| card)
    }

    fn reading(&mut self, index: u32) -> Result<Reading, Failure> {
        gpu(index).map(|(_, reading)| reading)
    }

    fn memory(&mut self, index: u32) -> Result<Vec<(u32, u64)>, Failure> {
        Ok(vec![(4711, 1 << 30), (u32::MAX - index, 5)])
    }
}

fn card(uuid: &str) -> Card {
    Card {
        uuid: uuid.to_owned(),
        name: Some("NVIDIA GeForce RTX 4090".to_owned()),
        pci_address: Some("0000:01:00.0".to_owned()),
        memory_bus_bits: Some(384),
        memory_clock_max_mhz: Some(10_501),
    }
}

fn busy() -> Reading {
    Reading {
        busy_percent: Some(98),
        memory_used_bytes: Some(20 << 30),
        memory_total_bytes: Some(24 << 30),
        clock_mhz: Some(2_520),
        degrees: Some(71),
        milliwatts: Some(431_500),
        limit_milliwatts: Some(450_000),
        throttle_reasons: Some(0x4),
    }
}

/// A machine whose folders are empty but for what a test puts there.
struct World {
    folder: tempfile::TempDir,
    start: Instant,
    look: u64,
    nvidia: Nvidia,
    reader: FileReader,
}

impl World {
    fn new(gpus: Vec<Result<(Card, Reading), Failure>>) -> Self {
        says(|says| *says = Says { gpus, ..Says::default() });
        let folder = tempfile::tempdir().unwrap();
        let (nvidia, reader) = (Nvidia::new(open), FileReader::new());
        Self { folder, start: Instant::now(), look: 0, nvidia, reader }
    }

    fn moment(&self) -> Moment {
        let at = self.start + Duration::from_secs(self.look);
        Moment { at, time_ns: self.look, look: self.look }
    }

    fn list(&mut self) {
        let moment = self.moment();
        self.nvidia.list(&Roots::below(self.folder.path()), moment);
    }

    /// The look of the next second.
    fn next(&mut self) -> Vec<DeviceSample> {
        self.look += 1;
        let (moment, mut samples) = (self.moment(), Vec::new());
        let roots = Roots::below(self.folder.path());
        self.nvidia.look(&roots, moment, &mut self.reader, &mut samples);
        samples
    }

    fn counts(&mut self, looks: usize) -> Vec<usize> {
        (0..looks).map(|_| self.next().len()).collect()
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

#[test]
fn a_reading_becomes_a_sample_in_our_units() {
    let mut world = World::new(vec![Ok((card("GPU-1"), busy()))]);
    world.list();
    let expected = DeviceSample {
        time_ns: 1,
        kind: DeviceKind::Gpu,
        id: "GPU-1".to_owned(),
        name: Some("NVIDIA GeForce RTX 4090".to_owned()),
        utilization: Some(0.98),
        memory_used_bytes: Some(20 << 30),
        memory_total_bytes: Some(24 << 30),
        frequency_hz: Some(2.52e9),
        temperature_c: Some(71.0),
        power_w: Some(431.5),
        power_limit_w: Some(450.0),
        // 1,008 GB/s, as its maker says.
        memory_bandwidth_bytes_per_s: Some(1_008.096e9),
        throttled: Some(true),
        host: None,
    };
    assert_eq!(world.next(), [expected]);
    assert_eq!(world.nvidia.memory()[&4711], 1 << 30);
}

#[test]
fn what_a_gpu_does_not_tell_is_unknown() {
    let blank = Card { uuid: "GPU-1".to_owned(), ..Card::default() };
    let half = Card { memory_bus_bits: Some(0), memory_clock_max_mhz: Some(1), ..blank.clone() };
    let none = Reading::default();
    let mut world = World::new(vec![Ok((blank, none)), Ok((half, none))]);
    world.list();
    for sample in world.next() {
        let (time_ns, kind, id) = (1, DeviceKind::Gpu, "GPU-1".to_owned());
        assert_eq!(sample, DeviceSample { time_ns, kind, id, ..DeviceSample::default() });
    }
}

#[test]
fn only_heat_and_power_throttle() {
    let throttled = |reasons| {
        let reading = Reading { throttle_reasons: Some(reasons), ..Reading::default() };
        let moment = Moment { at: Instant::now(), time_ns: 0, look: 0 };
        sample(&card("GPU-1"), reading, moment).throttled
    };
    // Nothing, idle, clocks that a user or a group of GPUs set, a display.
    for reasons in [0, 0x1, 0x2, 0x10, 0x100] {
        assert_eq!(throttled(reasons), Some(false), "{reasons:x}");
    }
    for reasons in [0x4, 0x8, 0x20, 0x40, 0x80, 0x1 | 0x20] {
        assert_eq!(throttled(reasons), Some(true), "{reasons:x}");
    }
}

#[test]
fn one_that_fell_off_the_bus_is_absent_and_the_others_stay() {
    let gpus = vec![Ok((card("GPU-1"), busy())), Ok((card("GPU-2"), busy()))];
    let mut world = World::new(gpus);
    world.list();
    assert_eq!(world.next().len(), 2);
    assert_eq!(world.nvidia.memory()[&4711], 2 << 30);
    says(|says| says.gpus[0] = Err(Failure::Gpu));
    assert_eq!(world.next()[0].id, "GPU-2");
    world.list();
    assert_eq!(world.next()[0].id, "GPU-2");
    says(|says| says.gpus[0] = Ok((card("GPU-1"), busy())));
    assert_eq!(world.counts(1), [1], "until the next listing");
    world.list();
    assert_eq!(world.counts(1), [2]);
    assert_eq!(says(|says| says.opened), 1);
}

#[test]
fn a_driver_that_fails_is_tried_again_once_a_minute() {
    let mut world = World::new(vec![Ok((card("GPU-1"), busy()))]);
    world.list();
    assert_eq!(world.counts(3), [1, 1, 1]);
    says(|says| says.failure = Some(Failure::Driver("uninitialized".to_owned())));
    assert_eq!(world.next(), []);
    assert!(world.nvidia.memory().is_empty());
    // Two more tries that fail; listings do not hasten them.
    world.list();
    assert!(world.counts(150).iter().all(|count| *count == 0));
    assert_eq!(says(|says| says.opened), 3);
    says(|says| says.failure = None);
    let counts = world.counts(60);
    let back = counts.iter().position(|count| *count == 1).unwrap();
    assert!(counts[back..].iter().all(|count| *count == 1), "{counts:?}");
    assert_eq!(says(|says| says.opened), 4);
}

#[test]
fn without_a_library_it_is_tried_again_only_when_the_driver_appears() {
    let mut world = World::new(vec![Ok((card("GPU-1"), busy()))]);
    says(|says| says.failure = Some(Failure::Driver("no library".to_owned())));
    for _ in 0..3 {
        world.list();
        assert!(world.counts(100).iter().all(|count| *count == 0));
    }
    assert_eq!(says(|says| says.opened), 1);
    says(|says| says.failure = None);
    world.file("dev/nvidiactl", "");
    world.list();
    assert_eq!(world.next().len(), 1);
    assert_eq!(says(|says| says.opened), 2);
}

#[test]
fn a_slow_driver_is_asked_less_often_until_it_is_fast() {
    let mut world = World::new(vec![Ok((card("GPU-1"), busy()))]);
    world.list();
    assert_eq!(world.counts(4), [1; 4]);
    world.nvidia.took(Duration::from_millis(201));
    // Up to the tenth look, which is fast.
    assert_eq!(world.counts(8), [0, 0, 0, 0, 0, 1, 1, 1]);
}

#[test]
fn a_gpu_that_sleeps_is_not_woken() {
    let mut world = World::new(vec![Ok((card("GPU-1"), busy()))]);
    world.list();
    world.file("sys/bus/pci/devices/0000:01:00.0/power/runtime_status", "suspended\n");
    assert_eq!(world.next(), []);
    world.file("sys/bus/pci/devices/0000:01:00.0/power/runtime_status", "active\n");
    assert_eq!(world.next().len(), 1);
}
