//! The two shapes in which almost every packet body is declared.

/// Structures whose fields stand on the wire in the order written.
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident : $ty:ty),* $(,)? }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty),* }

        impl $crate::wire::Wire for $name {
            fn read(
                reader: &mut $crate::wire::Reader<'_>,
                _: &'static str,
            ) -> Result<Self, $crate::wire::DecodeError> {
                Ok(Self {
                    $($field: <$ty as $crate::wire::Wire>::read(reader, stringify!($field))?),*
                })
            }
            fn write(&self, out: &mut bytes::BytesMut) {
                $($crate::wire::Wire::write(&self.$field, out);)*
            }
        }
    )*};
}

/// Structures that announce the lengths of their texts before the texts. `wire { … }` lists what
/// stands on the wire: `len x` the 8-byte length of text `x`, `text x` its bytes, `field x` a
/// field of fixed width.
macro_rules! lengths_first {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident : $ty:ty),* $(,)? }
        wire { $($kind:ident $item:ident),* $(,)? }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty),* }

        impl $crate::wire::Wire for $name {
            fn read(
                reader: &mut $crate::wire::Reader<'_>,
                _: &'static str,
            ) -> Result<Self, $crate::wire::DecodeError> {
                $(read_item!(reader $kind $item);)*
                Ok(Self { $($field),* })
            }
            fn write(&self, out: &mut bytes::BytesMut) {
                $(write_item!(self out $kind $item);)*
            }
        }
    )*};
}

macro_rules! read_item {
    ($reader:ident len $item:ident) => {
        let $item = $reader.length(stringify!($item))?;
    };
    ($reader:ident text $item:ident) => {
        let $item =
            $crate::protocol::storage::ReadText::read_text($reader, $item, stringify!($item))?;
    };
    ($reader:ident field $item:ident) => {
        let $item = $crate::wire::Wire::read($reader, stringify!($item))?;
    };
}

macro_rules! write_item {
    ($self:ident $out:ident len $item:ident) => {
        $crate::wire::Wire::write(&i64::try_from($self.$item.len()).unwrap_or(i64::MAX), $out)
    };
    ($self:ident $out:ident text $item:ident) => {
        bytes::BufMut::put_slice($out, $self.$item.as_bytes())
    };
    ($self:ident $out:ident field $item:ident) => {
        $crate::wire::Wire::write(&$self.$item, $out)
    };
}
