//! What peers are offered beyond the records that are due, after a loss of power: what they may have
//! lost, and what this storage may have lost of its own. Pure; [`super::send`] makes the offers.

use super::reader::Entry;
use super::{has_states, is_metadata};
use crate::storage::binlog::{Operation, Position};
use fdfs_core::config::Ini;
use fdfs_core::file_id::{Kind, LogicName, Source};

/// Why a peer is offered something, instead of being sent what a record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Offer {
    /// A file or a deletion of the peer's own, which it may have lost.
    Own,
    /// The state of a file of the peer's own whose content changes: it may have lost changes.
    OwnState,
    /// A file older than the peer, which got it from here and may have lost it.
    Old,
    /// The state of a file of this storage's own, which may have lost changes that the peer has;
    /// unless the peer is unsure of what it has, too.
    State { is_peer_unsure: bool },
}

/// What a peer is offered on the way from where its sender went back to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// Records that begin before this; the beginning for none.
    pub(super) until: Position,
    /// Files recorded up to this time are old; `None` when these are not offered.
    pub(super) old_until: Option<i64>,
}

impl Offers {
    pub(super) fn load(ini: &Ini) -> Self {
        let scope = ini.global();
        let text = |key| scope.get(key).map(str::trim);
        let index = text("offers_index").and_then(|text| text.parse().ok());
        let offset = text("offers_offset").and_then(|text| text.parse().ok());
        let until = index.zip(offset).map(|(index, offset)| Position { index, offset });
        let old_until = text("offers_old_until").and_then(|text| text.parse().ok());
        Self { until: until.unwrap_or_default(), old_until }
    }

    pub(super) fn to_text(self) -> String {
        let Position { index, offset } = self.until;
        let old = self.old_until.map(|time| format!("offers_old_until={time}\n"));
        format!("offers_index={index}\noffers_offset={offset}\n{}", old.unwrap_or_default())
    }

    /// Why the peer is offered something because of a record that is not due and begins there.
    /// `source` is how the peer names its files.
    pub(super) fn why(&self, entry: &Entry, begin: Position, source: Source) -> Option<Offer> {
        use Operation as O;
        if begin >= self.until || !entry.replica {
            return None;
        }
        let logic = LogicName::parse(entry.name.as_bytes()).ok()?;
        let is_own = logic.stamp()?.source == source;
        match (entry.operation, has_states(&logic)) {
            _ if logic.kind() == Kind::Trunk => None,
            (O::Delete, _) if is_metadata(&logic) => is_own.then_some(Offer::Own),
            // Names of slaves are used again.
            (O::Delete, _) if logic.kind() == Kind::Slave => None,
            // Whoever was asked to delete it.
            (O::Delete, _) => Some(Offer::Own),
            // Nothing in its name tells whether its content is whole.
            (O::Create, false) if is_own && logic.kind() == Kind::Slave => Some(Offer::OwnState),
            (O::Create | O::Rename, false) if is_own => Some(Offer::Own),
            (O::Create | O::Update | O::Append | O::Modify | O::Truncate, true) if is_own => {
                Some(Offer::OwnState)
            }
            (O::Create | O::Update | O::Rename, _) => {
                self.old_until.filter(|until| entry.time <= *until).map(|_| Offer::Old)
            }
            _ => None,
        }
    }
}

/// Why a peer is not sent what a record tells that is due: this storage has lost power since it was
/// made, and what it has may be older than what the peer was sent. `source` is how this storage
/// names its files.
pub(super) fn unsure(entry: &Entry, source: Source, is_peer_unsure: bool) -> Option<Offer> {
    use Operation as O;
    let logic = LogicName::parse(entry.name.as_bytes()).ok()?;
    let is_own = || logic.stamp().is_some_and(|stamp| stamp.source == source);
    let is_state = match entry.operation {
        // Slaves are uploaded anywhere.
        O::Create | O::Update if logic.kind() == Kind::Slave && !has_states(&logic) => true,
        O::Create | O::Update | O::Append | O::Modify | O::Truncate => {
            has_states(&logic) && is_own()
        }
        _ => false,
    };
    (!entry.replica && is_state).then_some(Offer::State { is_peer_unsure })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fdfs_core::file_id::{SizeField, Stamp};

    const FILE: &str = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662.bin";
    const SLAVE: &str = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662_big.bin";
    const METADATA: &str = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662.bin-m";

    /// How a host stands in names.
    fn source(host: u8) -> Source {
        Source::Ip([10, 77, 0, host].into())
    }

    /// An appender that was uploaded to host 11, and a slave of it.
    fn appenders() -> [String; 2] {
        let size = SizeField::appender(7);
        let chars = Stamp { source: source(11), created: 5, size, crc32: 0 }.encode();
        let stamp = String::from_utf8_lossy(&chars);
        [format!("M00/00/00/{stamp}662.log"), format!("M00/00/00/{stamp}662_big.log")]
    }

    fn why_at(offers: Offers, record: &str, host: u8, offset: u64) -> Option<Offer> {
        let entry = Entry::parse(record.as_bytes()).unwrap();
        offers.why(&entry, Position { index: 0, offset }, source(host))
    }

    #[test]
    fn offered_is_what_the_peer_may_have_lost_of_its_own() {
        let offers = Offers { until: Position { index: 0, offset: 50 }, old_until: None };
        let why = |record: &str| why_at(offers, record, 11, 49);
        for (name, offer) in [(FILE, Offer::Own), (SLAVE, Offer::OwnState)] {
            assert_eq!(why(&format!("5 c {name}")), Some(offer));
            assert_eq!(why(&format!("5 C {name}")), None, "it is due");
            assert_eq!(why(&format!("5 u {name}")), None, "it never changes");
        }
        let [appender, of_appender] = &appenders();
        assert_eq!(why(&format!("5 r {FILE} {appender}")), Some(Offer::Own));
        assert_eq!(why(&format!("5 d {FILE}")), Some(Offer::Own));
        assert_eq!(why(&format!("5 d {METADATA}")), Some(Offer::Own));
        assert_eq!(why(&format!("5 d {SLAVE}")), None, "there may be another of this name");
        for name in [METADATA, appender, of_appender] {
            for change in ["c", "u"] {
                assert_eq!(why(&format!("5 {change} {name}")), Some(Offer::OwnState), "{name}");
            }
        }
        for change in ["a", "m", "t"] {
            assert_eq!(why(&format!("5 {change} {appender} 0 5")), Some(Offer::OwnState));
        }
        let late = why_at(offers, &format!("5 c {FILE}"), 11, 50);
        assert_eq!(late, None, "it has arrived since");
        for (change, name) in [("c", FILE), ("c", appender), ("u", METADATA), ("d", METADATA)] {
            let others = why_at(offers, &format!("5 {change} {name}"), 12, 49);
            assert_eq!(others, None, "{change} {name}");
        }
        let others = why_at(offers, &format!("5 d {FILE}"), 12, 49);
        assert_eq!(others, Some(Offer::Own), "who was asked to delete it is not known");
    }

    #[test]
    fn a_peer_that_was_just_filled_is_offered_old_files() {
        let until = Position { index: 0, offset: 50 };
        let offers = Offers { until, old_until: Some(5) };
        let [appender, _] = &appenders();
        for (record, wanted) in [
            (format!("5 c {FILE}"), Some(Offer::Old)),
            (format!("5 c {appender}"), Some(Offer::Old)),
            (format!("5 u {METADATA}"), Some(Offer::Old)),
            (format!("5 r {FILE} {appender}"), Some(Offer::Old)),
            (format!("6 c {FILE}"), None),
            (format!("5 a {appender} 0 5"), None),
            (format!("5 C {FILE}"), None),
        ] {
            assert_eq!(why_at(offers, &record, 12, 49), wanted, "{record}");
        }
    }

    #[test]
    fn of_what_it_may_have_lost_a_storage_sends_no_single_changes() {
        let sent_by = |record: &str, host: u8| {
            unsure(&Entry::parse(record.as_bytes()).unwrap(), source(host), true)
        };
        let [appender, _] = &appenders();
        let state = Some(Offer::State { is_peer_unsure: true });
        for (record, wanted) in [
            (format!("5 C {appender}"), state),
            (format!("5 U {appender}"), state),
            (format!("5 A {appender} 0 5"), state),
            (format!("5 M {appender} 0 5"), state),
            (format!("5 T {appender} 5 0"), state),
            (format!("5 U {METADATA}"), state),
            (format!("5 D {appender}"), None),
            (format!("5 C {FILE}"), None),
            (format!("5 a {appender} 0 5"), None),
        ] {
            assert_eq!(sent_by(&record, 11), wanted, "{record}");
            assert_eq!(sent_by(&record, 12), None, "{record} of another's file");
        }
        assert_eq!(sent_by(&format!("5 C {SLAVE}"), 12), state, "uploaded here all the same");
    }
}
