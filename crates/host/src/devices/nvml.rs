//! The calls to NVML, the library of NVIDIA's driver (<https://docs.nvidia.com/deploy/nvml-api/>). It is
//! loaded when it is there; Andon is built without it.

use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::{Bits, NvmlError};
use nvml_wrapper::{Device, Nvml};

use super::nvidia::{Card, Driver, Failure, Reading};

pub(crate) fn open_nvml() -> Result<Box<dyn Driver>, Failure> {
    match Nvml::init() {
        Ok(nvml) => Ok(Box::new(Library { nvml })),
        Err(error) => Err(Failure::Driver(error.to_string())),
    }
}

struct Library {
    nvml: Nvml,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Library")
    }
}

impl Driver for Library {
    fn count(&mut self) -> Result<u32, Failure> {
        self.nvml.device_count().map_err(failure)
    }

    fn card(&mut self, index: u32) -> Result<Card, Failure> {
        let gpu = self.nvml.device_by_index(index).map_err(failure)?;
        Ok(Card {
            uuid: gpu.uuid().map_err(failure)?,
            name: told(gpu.name())?,
            pci_address: told(gpu.pci_info())?
                .map(|pci| format!("{:04x}:{:02x}:{:02x}.0", pci.domain, pci.bus, pci.device)),
            memory_bus_bits: told(gpu.memory_bus_width())?,
            memory_clock_max_mhz: told(gpu.max_clock_info(Clock::Memory))?,
        })
    }

    fn reading(&mut self, index: u32) -> Result<Reading, Failure> {
        let gpu = self.nvml.device_by_index(index).map_err(failure)?;
        let memory = told(gpu.memory_info())?;
        Ok(Reading {
            busy_percent: told(gpu.utilization_rates())?.map(|rates| rates.gpu),
            memory_used_bytes: memory.as_ref().map(|memory| memory.used),
            memory_total_bytes: memory.as_ref().map(|memory| memory.total),
            clock_mhz: told(gpu.clock_info(Clock::SM))?,
            degrees: told(gpu.temperature(TemperatureSensor::Gpu))?,
            milliwatts: told(gpu.power_usage())?,
            limit_milliwatts: told(gpu.enforced_power_limit())?,
            throttle_reasons: throttle_reasons(&gpu)?,
        })
    }

    fn memory(&mut self, index: u32) -> Result<Vec<(u32, u64)>, Failure> {
        let gpu = self.nvml.device_by_index(index).map_err(failure)?;
        let processes = gpu.running_compute_processes().map_err(failure)?;
        let held = processes.into_iter().filter_map(|process| match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some((process.pid, bytes)),
            UsedGpuMemory::Unavailable => None,
        });
        Ok(held.collect())
    }
}

/// The wrapper has names for some reasons only; where there are others, it gives all bits in an error.
fn throttle_reasons(gpu: &Device<'_>) -> Result<Option<u64>, Failure> {
    match gpu.current_throttle_reasons_strict() {
        Ok(reasons) => Ok(Some(reasons.bits())),
        Err(NvmlError::IncorrectBits(Bits::U64(reasons))) => Ok(Some(reasons)),
        Err(error) => told(Err(error)),
    }
}

/// What one GPU does not support or tell is unknown; that nobody answers is a failure.
fn told<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(NvmlError::GpuLost | NvmlError::ResetRequired) => Err(Failure::Gpu),
        Err(
            error @ (NvmlError::Uninitialized
            | NvmlError::DriverNotLoaded
            | NvmlError::LibRmVersionMismatch),
        ) => Err(Failure::Driver(error.to_string())),
        Err(_) => Ok(None),
    }
}

/// Why a call failed without which nothing is known of a GPU.
fn failure(error: NvmlError) -> Failure {
    told::<()>(Err(error)).err().unwrap_or(Failure::Gpu)
}
