//! How one kind of value goes into an Arrow array and comes back.
//!
//! A column that a file lacks, because it was written before the column was added, reads as
//! «unknown»; that is why every column is nullable.

use std::sync::Arc;

use andon_model::{Named, Policy, RequestId, SpanId, TraceId};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, BooleanBuilder,
        FixedSizeBinaryArray, FixedSizeBinaryBuilder, Float64Array, Float64Builder, Int64Array,
        Int64Builder, StringArray, StringBuilder, StringDictionaryBuilder, TypedDictionaryArray,
    },
    datatypes::{DataType, Int32Type},
};

use crate::aggregate::Sketch;

/// A kind of column.
pub(crate) trait Kind {
    type Builder;
    type Reader<'a>;

    fn data_type() -> DataType;
    fn builder(rows: usize) -> Self::Builder;
    fn finish(builder: Self::Builder) -> ArrayRef;
    /// `None` when the array is of another type.
    fn reader(array: &dyn Array) -> Option<Self::Reader<'_>>;
}

/// Which values a kind of column takes.
pub(crate) trait Codec<T>: Kind {
    /// A builder with room for these.
    fn builder_for<'a>(values: impl ExactSizeIterator<Item = &'a T> + Clone) -> Self::Builder
    where
        T: 'a,
    {
        Self::builder(values.len())
    }
    fn append(builder: &mut Self::Builder, value: &T);
    fn get(reader: &Self::Reader<'_>, row: usize) -> T;
}

/// Whole numbers: times, durations, counts. Beyond 2^63 they are cut.
pub(crate) struct Number;
pub(crate) struct Float;
pub(crate) struct Flag;
/// Text that repeats from row to row.
pub(crate) struct Word;
/// Text that does not.
pub(crate) struct Text;
/// How values are spread, as bytes.
pub(crate) struct Spread;
/// Bytes of a fixed number.
pub(crate) struct Id<const BYTES: usize>;

pub(crate) trait Whole: Copy + TryFrom<i64> + Default {
    fn to_i64(self) -> i64;
}

macro_rules! whole {
    ($($type:ty)+) => {$(
        impl Whole for $type {
            fn to_i64(self) -> i64 {
                i64::try_from(self).unwrap_or(i64::MAX)
            }
        }
    )+};
}

whole!(u64 u32 u16);

impl Kind for Number {
    type Builder = Int64Builder;
    type Reader<'a> = &'a Int64Array;

    fn data_type() -> DataType {
        DataType::Int64
    }

    fn builder(rows: usize) -> Int64Builder {
        Int64Builder::with_capacity(rows)
    }

    fn finish(mut builder: Int64Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn reader(array: &dyn Array) -> Option<&Int64Array> {
        array.as_any().downcast_ref()
    }
}

impl<T: Whole> Codec<T> for Number {
    fn append(builder: &mut Int64Builder, value: &T) {
        builder.append_value(value.to_i64());
    }

    fn get(reader: &&Int64Array, row: usize) -> T {
        <Self as Codec<Option<T>>>::get(reader, row).unwrap_or_default()
    }
}

impl<T: Whole> Codec<Option<T>> for Number {
    fn append(builder: &mut Int64Builder, value: &Option<T>) {
        builder.append_option(value.map(Whole::to_i64));
    }

    fn get(reader: &&Int64Array, row: usize) -> Option<T> {
        reader.is_valid(row).then(|| T::try_from(reader.value(row)).ok()).flatten()
    }
}

impl Kind for Float {
    type Builder = Float64Builder;
    type Reader<'a> = &'a Float64Array;

    fn data_type() -> DataType {
        DataType::Float64
    }

    fn builder(rows: usize) -> Float64Builder {
        Float64Builder::with_capacity(rows)
    }

    fn finish(mut builder: Float64Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn reader(array: &dyn Array) -> Option<&Float64Array> {
        array.as_any().downcast_ref()
    }
}

impl Codec<f64> for Float {
    fn append(builder: &mut Float64Builder, value: &f64) {
        builder.append_value(*value);
    }

    fn get(reader: &&Float64Array, row: usize) -> f64 {
        <Self as Codec<Option<f64>>>::get(reader, row).unwrap_or_default()
    }
}

impl Codec<Option<f64>> for Float {
    fn append(builder: &mut Float64Builder, value: &Option<f64>) {
        builder.append_option(*value);
    }

    fn get(reader: &&Float64Array, row: usize) -> Option<f64> {
        reader.is_valid(row).then(|| reader.value(row))
    }
}

impl Kind for Flag {
    type Builder = BooleanBuilder;
    type Reader<'a> = &'a BooleanArray;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn builder(rows: usize) -> BooleanBuilder {
        BooleanBuilder::with_capacity(rows)
    }

    fn finish(mut builder: BooleanBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn reader(array: &dyn Array) -> Option<&BooleanArray> {
        array.as_any().downcast_ref()
    }
}

impl Codec<bool> for Flag {
    fn append(builder: &mut BooleanBuilder, value: &bool) {
        builder.append_value(*value);
    }

    fn get(reader: &&BooleanArray, row: usize) -> bool {
        reader.is_valid(row) && reader.value(row)
    }
}

impl Codec<Option<bool>> for Flag {
    fn append(builder: &mut BooleanBuilder, value: &Option<bool>) {
        builder.append_option(*value);
    }

    fn get(reader: &&BooleanArray, row: usize) -> Option<bool> {
        reader.is_valid(row).then(|| reader.value(row))
    }
}

impl Kind for Word {
    type Builder = StringDictionaryBuilder<Int32Type>;
    type Reader<'a> = TypedDictionaryArray<'a, Int32Type, StringArray>;

    fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
    }

    fn builder(rows: usize) -> Self::Builder {
        StringDictionaryBuilder::with_capacity(rows, 0, 0)
    }

    fn finish(mut builder: Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn reader(array: &dyn Array) -> Option<Self::Reader<'_>> {
        array.as_dictionary_opt::<Int32Type>()?.downcast_dict()
    }
}

impl Kind for Text {
    type Builder = StringBuilder;
    type Reader<'a> = &'a StringArray;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn builder(rows: usize) -> StringBuilder {
        StringBuilder::with_capacity(rows, 0)
    }

    fn finish(mut builder: StringBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn reader(array: &dyn Array) -> Option<&StringArray> {
        array.as_any().downcast_ref()
    }
}

/// What has a text form of its own.
pub(crate) trait AsText: Sized {
    fn with_text<R>(&self, take: impl FnOnce(&str) -> R) -> R;
    /// `None` for a text that this version cannot read.
    fn from_text(text: &str) -> Option<Self>;
    /// What stands where nothing is known.
    fn unknown() -> Self;
}

impl AsText for String {
    fn with_text<R>(&self, take: impl FnOnce(&str) -> R) -> R {
        take(self)
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn unknown() -> Self {
        Self::new()
    }
}

impl AsText for RequestId {
    fn with_text<R>(&self, take: impl FnOnce(&str) -> R) -> R {
        take(self.as_str())
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::given(text)
    }

    fn unknown() -> Self {
        Self::from_caller(None)
    }
}

impl AsText for Policy {
    fn with_text<R>(&self, take: impl FnOnce(&str) -> R) -> R {
        take(&self.to_string())
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn unknown() -> Self {
        Self::None
    }
}

macro_rules! named_as_text {
    ($($type:ident)+) => {$(
        impl AsText for andon_model::$type {
            fn with_text<R>(&self, take: impl FnOnce(&str) -> R) -> R {
                take(self.name())
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::from_name(text)
            }

            fn unknown() -> Self {
                Self::ALL[0]
            }
        }
    )+};
}

named_as_text!(
    SpanKind LlmKind Status Source Cause Part MetricType EvaluationSource MetricKind Temporality
    DeviceKind ModelEventKind UnloadReason
);

impl<T: AsText> Codec<T> for Word {
    fn append(builder: &mut Self::Builder, value: &T) {
        value.with_text(|text| builder.append_value(text));
    }

    fn get(reader: &Self::Reader<'_>, row: usize) -> T {
        <Self as Codec<Option<T>>>::get(reader, row).unwrap_or_else(T::unknown)
    }
}

impl<T: AsText> Codec<Option<T>> for Word {
    fn append(builder: &mut Self::Builder, value: &Option<T>) {
        match value {
            Some(value) => value.with_text(|text| builder.append_value(text)),
            None => builder.append_null(),
        }
    }

    fn get(reader: &Self::Reader<'_>, row: usize) -> Option<T> {
        let keys = reader.keys();
        let key = keys.is_valid(row).then(|| keys.value(row))?;
        T::from_text(reader.values().value(usize::try_from(key).ok()?))
    }
}

impl<T: AsText> Codec<T> for Text {
    fn append(builder: &mut StringBuilder, value: &T) {
        value.with_text(|text| builder.append_value(text));
    }

    fn get(reader: &&StringArray, row: usize) -> T {
        <Self as Codec<Option<T>>>::get(reader, row).unwrap_or_else(T::unknown)
    }
}

impl<T: AsText> Codec<Option<T>> for Text {
    fn append(builder: &mut StringBuilder, value: &Option<T>) {
        match value {
            Some(value) => value.with_text(|text| builder.append_value(text)),
            None => builder.append_null(),
        }
    }

    fn get(reader: &&StringArray, row: usize) -> Option<T> {
        if reader.is_null(row) { None } else { T::from_text(reader.value(row)) }
    }
}

impl Kind for Spread {
    type Builder = BinaryBuilder;
    type Reader<'a> = &'a BinaryArray;

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn builder(rows: usize) -> BinaryBuilder {
        BinaryBuilder::with_capacity(rows, 0)
    }

    fn finish(mut builder: BinaryBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn reader(array: &dyn Array) -> Option<&BinaryArray> {
        array.as_binary_opt()
    }
}

impl Codec<Sketch> for Spread {
    fn append(builder: &mut BinaryBuilder, sketch: &Sketch) {
        let mut bytes = Vec::new();
        sketch.write(&mut bytes);
        builder.append_value(bytes);
    }

    fn get(reader: &&BinaryArray, row: usize) -> Sketch {
        let bytes = reader.is_valid(row).then(|| reader.value(row));
        bytes.and_then(Sketch::read).unwrap_or_default()
    }
}

impl<const BYTES: usize> Kind for Id<BYTES> {
    type Builder = FixedSizeBinaryBuilder;
    type Reader<'a> = &'a FixedSizeBinaryArray;

    fn data_type() -> DataType {
        DataType::FixedSizeBinary(BYTES as i32)
    }

    fn builder(rows: usize) -> FixedSizeBinaryBuilder {
        FixedSizeBinaryBuilder::with_capacity(rows, BYTES as i32)
    }

    fn finish(mut builder: FixedSizeBinaryBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn reader(array: &dyn Array) -> Option<&FixedSizeBinaryArray> {
        array.as_fixed_size_binary_opt().filter(|array| array.value_length() == BYTES as i32)
    }
}

macro_rules! id {
    ($type:ident, $bytes:literal) => {
        impl Codec<$type> for Id<$bytes> {
            fn append(builder: &mut FixedSizeBinaryBuilder, id: &$type) {
                // Fails on another length alone.
                if builder.append_value(id.as_bytes()).is_err() {
                    builder.append_null();
                }
            }

            fn get(reader: &&FixedSizeBinaryArray, row: usize) -> $type {
                let known = <Self as Codec<Option<$type>>>::get(reader, row);
                known.unwrap_or_else(|| $type::from_bytes([0; $bytes]))
            }
        }

        impl Codec<Option<$type>> for Id<$bytes> {
            fn append(builder: &mut FixedSizeBinaryBuilder, id: &Option<$type>) {
                match id {
                    Some(id) => <Self as Codec<$type>>::append(builder, id),
                    None => builder.append_null(),
                }
            }

            fn get(reader: &&FixedSizeBinaryArray, row: usize) -> Option<$type> {
                if reader.is_null(row) {
                    return None;
                }
                reader.value(row).try_into().ok().map($type::from_bytes)
            }
        }
    };
}

id!(TraceId, 16);
id!(SpanId, 8);
