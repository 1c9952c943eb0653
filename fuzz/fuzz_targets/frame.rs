//! Everything that comes over the connection of an agent: frames, and the blocks in them.
//!
//! Whatever comes, nothing may panic or take more memory than a frame may; and what was read says the same when it is
//! written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reckon_model::frame::{Frame, Message};
use reckon_model::record::Block;

fuzz_target!(|data: &[u8]| {
    let Ok(frame) = Frame::decode(data) else { return };
    let again = Frame::decode(&frame.encode());
    assert_eq!(again.ok().as_ref(), Some(&frame), "a frame that was read does not read");
    if let Message::Batch(packed) = frame.message {
        let _ = Block::read(packed.block);
    }
});
