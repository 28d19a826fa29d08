//! A product of matrices by ggml, to learn how fast this machine computes one.

use std::ptr;
use std::time::{Duration, Instant};

use llama_cpp_sys_2 as sys;

/// Of a prompt's batch through a layer of a small model.
const COLUMNS: i64 = 2_048;
const ROWS: i64 = 2_048;
const TOKENS: i64 = 256;
/// What a product comes to; a multiplication with its addition is two.
const OPERATIONS: f64 = 2.0 * (COLUMNS * ROWS * TOKENS) as f64;
/// Both matrices, the product, and what ggml notes of them.
const MEMORY_BYTES: usize = 32 << 20;
/// Any number that is neither zero nor denormal, in 8 bits as well as in 32.
const FILL: u8 = 0x11;

/// The most operations a second of any product within `time`, weights in 8 bits. `None` where ggml has
/// no memory.
pub(crate) fn fastest_product(threads: u32, time: Duration) -> Option<f64> {
    let memory = Memory::new()?;
    let threads = i32::try_from(threads).unwrap_or(1).max(1);
    let mut work = Vec::new();
    let begin = Instant::now();
    let mut best = 0.0_f64;
    loop {
        let since = Instant::now();
        // SAFETY: the graph and its tensors live in `memory`, which outlives the call; the work buffer
        // has the size that the plan asks for and is not touched meanwhile.
        let status = unsafe {
            let mut plan = sys::ggml_graph_plan(memory.graph, threads, ptr::null_mut());
            work.resize(plan.work_size, 0_u8);
            plan.work_data = work.as_mut_ptr();
            sys::ggml_graph_compute(memory.graph, &raw mut plan)
        };
        if status != sys::GGML_STATUS_SUCCESS {
            return None;
        }
        best = best.max(OPERATIONS / since.elapsed().as_secs_f64().max(f64::MIN_POSITIVE));
        if begin.elapsed() >= time {
            return Some(best);
        }
    }
}

/// ggml's memory with the two matrices and their product in it; freed on drop.
struct Memory {
    context: ptr::NonNull<sys::ggml_context>,
    graph: *mut sys::ggml_cgraph,
}

impl Memory {
    fn new() -> Option<Self> {
        let params = sys::ggml_init_params {
            mem_size: MEMORY_BYTES,
            mem_buffer: ptr::null_mut(),
            no_alloc: false,
        };
        // SAFETY: plain data in; null where there is no memory.
        let context = ptr::NonNull::new(unsafe { sys::ggml_init(params) })?;
        // SAFETY: all tensors fit into the context's memory, which was just made; their data is ours to
        // fill, as many bytes as ggml says.
        let graph = unsafe {
            let weights =
                sys::ggml_new_tensor_2d(context.as_ptr(), sys::GGML_TYPE_Q8_0, COLUMNS, ROWS);
            let tokens =
                sys::ggml_new_tensor_2d(context.as_ptr(), sys::GGML_TYPE_F32, COLUMNS, TOKENS);
            for tensor in [weights, tokens] {
                ptr::write_bytes((*tensor).data.cast::<u8>(), FILL, sys::ggml_nbytes(tensor));
            }
            let product = sys::ggml_mul_mat(context.as_ptr(), weights, tokens);
            let graph = sys::ggml_new_graph(context.as_ptr());
            sys::ggml_build_forward_expand(graph, product);
            graph
        };
        Some(Self { context, graph })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: made by `ggml_init`, freed once.
        unsafe { sys::ggml_free(self.context.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_multiplies() {
        super::super::init_backend();
        let operations = fastest_product(1, Duration::ZERO).unwrap();
        // A machine of this century does more than a million a second.
        assert!(operations > 1e6 && operations.is_finite(), "{operations}");
    }
}
