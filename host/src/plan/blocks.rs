//! A plan's file by its blocks: any of them is read without those before it, and its length without
//! its contents.

use crate::contained::contained;
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::{
    Block,
    convert::try_fb_to_schema,
    reader::{FileDecoder, read_footer_length},
    root_as_footer, root_as_message,
};
use arrow_schema::ArrowError;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

/// The end of an Arrow file: four bytes of length and six of magic.
const TRAILER: u64 = 10;
/// What a message begins with where its length does not.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// No block's header is longer: it names the buffers of four columns.
const MAX_HEADER: u64 = 1 << 20;

/// An entry of a file: the block it is in, its place there, and its number among all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) block: usize,
    pub(crate) index: u64,
    pub(crate) number: u64,
}

/// An open file.
pub(crate) struct Blocks {
    file: File,
    blocks: Vec<Block>,
    decoder: FileDecoder,
    /// A block and its length: entries are mostly looked for in the block of the last one.
    known: Option<(usize, u64)>,
}

impl Blocks {
    /// Reads the file's footer, and nothing else.
    pub(crate) fn open(path: &Path) -> Result<Blocks, ArrowError> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut trailer = [0; TRAILER as usize];
        file.seek(SeekFrom::Start(size.saturating_sub(TRAILER)))?;
        file.read_exact(&mut trailer)?;
        let length = read_footer_length(trailer)?;
        let begin = size
            .checked_sub(TRAILER + length as u64)
            .ok_or_else(|| damaged("its footer is longer than the file"))?;
        let footer = bytes(&mut file, begin, length)?;
        let footer =
            root_as_footer(&footer).map_err(|error| ArrowError::ParseError(error.to_string()))?;
        let schema = footer.schema().ok_or_else(|| damaged("its footer has no schema"))?;
        let schema = contained(|| try_fb_to_schema(schema), ArrowError::ParseError)?;
        let decoder = FileDecoder::new(Arc::new(schema), footer.version());
        let blocks: Vec<Block> = footer.recordBatches().iter().flatten().copied().collect();
        let inside = |block: &Block| {
            let (offset, header, body) = parts(block)?;
            let end = offset.checked_add(header)?.checked_add(body)?;
            ((16..=MAX_HEADER).contains(&header) && end <= begin).then_some(())
        };
        if blocks.iter().any(|block| inside(block).is_none()) {
            return Err(damaged("a block lies outside of it"));
        }
        Ok(Blocks { file, blocks, decoder, known: None })
    }

    /// How many blocks there are.
    pub(crate) fn count(&self) -> usize {
        self.blocks.len()
    }

    /// A block. There is one of this number.
    pub(crate) fn read(&mut self, number: usize) -> Result<RecordBatch, ArrowError> {
        let block = self.block(number)?;
        let (offset, header, body) =
            parts(&block).ok_or_else(|| damaged("a block lies outside of it"))?;
        let buffer = Buffer::from_vec(bytes(&mut self.file, offset, (header + body) as usize)?);
        contained(|| self.decoder.read_record_batch(&block, &buffer), ArrowError::ParseError)?
            .ok_or_else(|| damaged("a block is empty"))
    }

    /// How many entries a block has, from its header alone.
    pub(crate) fn length(&mut self, number: usize) -> Result<u64, ArrowError> {
        if let Some((known, length)) = self.known
            && known == number
        {
            return Ok(length);
        }
        let block = self.block(number)?;
        let (offset, header, _) =
            parts(&block).ok_or_else(|| damaged("a block lies outside of it"))?;
        let header = bytes(&mut self.file, offset, header as usize)?;
        let message = if header.starts_with(&CONTINUATION) { &header[8..] } else { &header[4..] };
        let message =
            root_as_message(message).map_err(|error| ArrowError::ParseError(error.to_string()))?;
        let length = message.header_as_record_batch().map_or(0, |batch| batch.length());
        let length = u64::try_from(length).map_err(|_| damaged("a block has a negative length"))?;
        self.known = Some((number, length));
        Ok(length)
    }

    /// Where the entry of a number is that is not before `place`. Past the last entry, a place in
    /// no block.
    pub(crate) fn forward(&mut self, mut place: Place, number: u64) -> Result<Place, ArrowError> {
        while place.block < self.count() {
            let begin = place.number - place.index;
            let end = begin
                .checked_add(self.length(place.block)?)
                .ok_or_else(|| damaged("its blocks are longer than any plan"))?;
            if number < end {
                return Ok(Place { index: number - begin, number, ..place });
            }
            place = Place { block: place.block + 1, index: 0, number: end };
        }
        Ok(place)
    }

    fn block(&self, number: usize) -> Result<Block, ArrowError> {
        self.blocks.get(number).copied().ok_or_else(|| damaged("it has fewer blocks"))
    }
}

/// Offset, bytes of the header, bytes of the body.
fn parts(block: &Block) -> Option<(u64, u64, u64)> {
    let unsigned = |number: i64| u64::try_from(number).ok();
    Some((
        unsigned(block.offset())?,
        unsigned(block.metaDataLength().into())?,
        unsigned(block.bodyLength())?,
    ))
}

fn bytes(file: &mut File, from: u64, length: usize) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn damaged(what: &str) -> ArrowError {
    ArrowError::ParseError(format!("the file is damaged: {what}"))
}
