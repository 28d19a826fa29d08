//! The store through its front door: what is acknowledged is there after anything that can happen
//! to a process or to its files.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod bit_flips;
#[cfg(test)]
mod bombs;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod compaction;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod disk_full;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod export;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod forget;
#[cfg(test)]
mod known;
#[cfg(test)]
mod list;
#[cfg(test)]
mod partial;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod scrub;
#[cfg(test)]
mod sql;
#[cfg(test)]
mod stats;
#[cfg(test)]
mod support;
#[cfg(test)]
mod text;
#[cfg(test)]
mod verify;
