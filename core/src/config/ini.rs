//! The ini dialect of FastDFS (spec 06 §1).

use super::directives::{Line, expand};
use super::{ConfigError, Scope};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;

/// Longest key; the rest is cut (spec 06 §1.1).
const KEY_LEN_MAX: usize = 63;
/// Longest value; the rest is cut.
const VALUE_LEN_MAX: usize = 255;
/// Largest file read.
const FILE_LEN_MAX: usize = 1024 * 1024;
/// How deep files may include files.
const INCLUDE_DEPTH_MAX: usize = 16;
/// Files of one configuration: without it, files including each other twice grow exponentially.
const FILES_MAX: usize = 256;
/// Bytes of all files of one configuration.
const TEXT_LEN_MAX: usize = 4 * 1024 * 1024;
/// Items of one configuration, includes counted.
const ITEMS_MAX: usize = 65536;
/// Warnings kept of one configuration.
const WARNINGS_MAX: usize = 256;

/// What a configuration needs from the world.
pub trait Source {
    /// The text of a file.
    fn read(&mut self, name: &str) -> io::Result<String>;
    /// This host's addresses, for `#@if %{LOCAL_IP}` and `LOCAL_IP_GET`.
    fn local_ips(&self) -> Vec<IpAddr>;
    /// This host's name, for `#@if %{LOCAL_HOST}`.
    fn host_name(&self) -> String;
}

#[derive(Debug, Clone)]
struct Item {
    key: String,
    value: String,
    place: String,
    used: Cell<bool>,
}

/// A loaded configuration: its items in file order, and what was remarkable while loading.
#[derive(Debug, Clone, Default)]
pub struct Ini {
    items: Vec<Item>,
    /// Positions in `items`, in file order, by section and key: a tracker's state has thousands.
    index: HashMap<String, HashMap<String, Vec<usize>>>,
    /// Names of the sections, in file order.
    sections: Vec<String>,
    /// Grows while values are looked up, too.
    warnings: RefCell<Vec<String>>,
}

impl Ini {
    /// Loads the file `name` and what it includes.
    pub fn load(name: &str, source: &mut dyn Source) -> Result<Self, ConfigError> {
        let mut loader = Loader {
            source,
            base: name.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned(),
            absolute: name.starts_with('/'),
            variables: BTreeMap::new(),
            open: Vec::new(),
            files: 0,
            text_len: 0,
            ini: Self::default(),
        };
        refuse_url(name)?;
        loader.file(name)?;
        Ok(loader.ini)
    }

    /// Parses a text without includes and directives: state files (spec 04, Conventions). A state
    /// file is as long as its cluster is large, so the number of items has no limit here.
    pub fn parse(text: &str) -> Self {
        let mut ini = Self::default();
        let mut section = String::new();
        for (at, line) in text.split('\n').enumerate() {
            if !line.trim_matches(BLANKS).starts_with('#') {
                ini.line(line, &mut section, || format!("line {}", at + 1));
            }
        }
        ini
    }

    /// The global section.
    pub fn global(&self) -> Scope<'_> {
        Scope::new(self, None)
    }

    /// The keys of `section`, falling back to the global ones.
    pub fn section<'i>(&'i self, section: &'i str) -> Scope<'i> {
        Scope::new(self, Some(section))
    }

    /// Names of the sections that have keys, in file order.
    pub fn sections(&self) -> Vec<&str> {
        self.sections.iter().map(String::as_str).collect()
    }

    /// The last value of a key, and where it stands.
    pub(super) fn get(&self, section: &str, key: &str) -> Option<(&str, &str)> {
        self.matching(section, key).last()
    }

    /// All values of a key with their places, in file order.
    pub(super) fn all(&self, section: &str, key: &str) -> Vec<(&str, &str)> {
        self.matching(section, key).collect()
    }

    fn matching<'i>(
        &'i self,
        section: &str,
        key: &str,
    ) -> impl Iterator<Item = (&'i str, &'i str)> + use<'i> {
        let positions = self.index.get(section).and_then(|keys| keys.get(key));
        let items = positions.into_iter().flatten().filter_map(|at| self.items.get(*at));
        items.map(|item| {
            item.used.set(true);
            (item.value.as_str(), item.place.as_str())
        })
    }

    /// Keys nobody asked for, with their places: unknown ones, and ones without effect today.
    pub fn unused(&self) -> Vec<(String, String)> {
        let unused = self.entries().filter(|(_, _, used)| !used);
        unused.map(|(place, key, _)| (place.to_owned(), key.to_owned())).collect()
    }

    /// Every item: its place, its key, and whether somebody asked for it.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.items.iter().map(|item| (item.place.as_str(), item.key.as_str(), item.used.get()))
    }

    /// What was remarkable so far: cut values, and values that were replaced when looked up.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    pub(super) fn warn(&self, text: String) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < WARNINGS_MAX && !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Takes over one line.
    fn line(&mut self, line: &str, section: &mut String, place: impl Fn() -> String) {
        let line = line.trim_matches(BLANKS);
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.trim_matches(BLANKS).clone_into(section);
            return;
        }
        let Some((key, value)) = line.split_once('=') else { return };
        let key = self.cut(key.trim_matches(BLANKS), KEY_LEN_MAX, "key", &place);
        let value = self.cut(value.trim_matches(BLANKS), VALUE_LEN_MAX, "value", &place);
        if !self.index.contains_key(section.as_str()) {
            self.index.insert(section.clone(), HashMap::new());
            if !section.is_empty() {
                self.sections.push(section.clone());
            }
        }
        if let Some(keys) = self.index.get_mut(section.as_str()) {
            keys.entry(key.clone()).or_default().push(self.items.len());
        }
        self.items.push(Item { key, value, place: place(), used: Cell::new(false) });
    }

    fn cut(&self, text: &str, max: usize, what: &str, place: &impl Fn() -> String) -> String {
        if text.len() <= max {
            return text.to_owned();
        }
        self.warn(format!("{}: {what} longer than {max} bytes, cut", place()));
        text.get(..text.floor_char_boundary(max)).unwrap_or_default().to_owned()
    }
}

/// What the original trims from lines, keys and values.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

struct Loader<'s> {
    source: &'s mut dyn Source,
    /// Directory of the top-level file: relative includes start there, also nested ones.
    base: String,
    absolute: bool,
    variables: BTreeMap<String, String>,
    open: Vec<String>,
    files: usize,
    text_len: usize,
    ini: Ini,
}

impl Loader<'_> {
    fn file(&mut self, name: &str) -> Result<(), ConfigError> {
        if self.open.iter().any(|open| open == name) {
            return Err(ConfigError::invalid(format!("{name} includes itself")));
        }
        self.files += 1;
        if self.open.len() >= INCLUDE_DEPTH_MAX || self.files > FILES_MAX {
            let limit = format!("more than {INCLUDE_DEPTH_MAX} deep or {FILES_MAX} in all");
            return Err(ConfigError::invalid(format!("{name}: too many files included, {limit}")));
        }
        let text = self.source.read(name).map_err(|error| {
            let errno = error.raw_os_error().and_then(|errno| u8::try_from(errno).ok());
            ConfigError::missing(format!("cannot read {name}: {error}"))
                .with_errno(errno.unwrap_or(2))
        })?;
        self.text_len += text.len();
        if text.len() > FILE_LEN_MAX || self.text_len > TEXT_LEN_MAX {
            let limit = format!("{FILE_LEN_MAX} bytes, or {TEXT_LEN_MAX} with its includes");
            return Err(ConfigError::invalid(format!("{name}: larger than {limit}")));
        }
        self.open.push(name.to_owned());
        let file = name.rsplit('/').next().unwrap_or(name).to_owned();
        let lines = expand(&file, &text, &mut self.variables, self.source, &self.ini)?;
        let mut section = String::new();
        for line in &lines {
            self.item(&file, line, &mut section)?;
        }
        self.open.pop();
        Ok(())
    }

    fn item(&mut self, file: &str, line: &Line, section: &mut String) -> Result<(), ConfigError> {
        let text = line.text.trim_matches(BLANKS);
        let place = || format!("{file}:{}", line.number);
        let Some(comment) = text.strip_prefix('#') else {
            if self.ini.items.len() >= ITEMS_MAX {
                return Err(ConfigError::invalid("too many items").at(&place()));
            }
            self.ini.line(text, section, place);
            return Ok(());
        };
        let is_include = comment.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("include"));
        let rest = comment.get(7..).unwrap_or_default();
        if is_include && rest.starts_with([' ', '\t']) {
            let name = self.resolve(rest.trim_matches(BLANKS)).map_err(|e| e.at(&place()))?;
            self.file(&name).map_err(|error| error.at(&place()))?;
            // The original starts over in the global section behind an include (spec 06 §1.3).
            section.clear();
        }
        Ok(())
    }

    fn resolve(&self, name: &str) -> Result<String, ConfigError> {
        refuse_url(name)?;
        let name = name.strip_prefix("file://").unwrap_or(name);
        Ok(match name.starts_with('/') || (self.base.is_empty() && !self.absolute) {
            true => name.to_owned(),
            false => format!("{}/{name}", self.base),
        })
    }
}

/// The original would fetch it; a daemon whose settings come from the network at start is not
/// worth an HTTP client in here.
fn refuse_url(name: &str) -> Result<(), ConfigError> {
    let scheme = name.split_once("://").map_or("", |(scheme, _)| scheme);
    match ["http", "https"].iter().any(|url| scheme.eq_ignore_ascii_case(url)) {
        true => Err(ConfigError::invalid(format!("{name}: fetch the file and name the copy"))),
        false => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) struct Files(pub Vec<(&'static str, String)>);

    impl Source for Files {
        fn read(&mut self, name: &str) -> io::Result<String> {
            let file = self.0.iter().find(|(file, _)| *file == name);
            file.map(|(_, text)| text.clone()).ok_or(io::ErrorKind::NotFound.into())
        }
        fn local_ips(&self) -> Vec<IpAddr> {
            vec!["10.0.1.7".parse().unwrap(), "1.2.3.4".parse().unwrap()]
        }
        fn host_name(&self) -> String {
            "web1".into()
        }
    }

    pub(in super::super) fn load(files: &[(&'static str, &str)]) -> Result<Ini, ConfigError> {
        let first = files[0].0;
        let files = files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        Ini::load(first, &mut Files(files))
    }

    fn value<'i>(ini: &'i Ini, key: &str) -> Option<&'i str> {
        ini.get("", key).map(|(value, _)| value)
    }

    #[test]
    fn lines_are_read_as_the_original_reads_them() {
        let ini = load(&[(
            "/c/a.conf",
            "k=2 # note\r\n; a=b\n K = x=y \nempty=\nnothing\nk=3\n[s]\nin=1\n[]\nout=2\n[s]\nin=2\n",
        )])
        .unwrap();
        assert_eq!(value(&ini, "k"), Some("3"), "the last one counts");
        assert_eq!(ini.all("", "k")[0].0, "2 # note", "no comments behind values");
        assert_eq!(value(&ini, "; a"), Some("b"));
        assert_eq!(value(&ini, "K"), Some("x=y"), "keys know upper and lower case");
        assert_eq!(value(&ini, "empty"), Some(""));
        assert_eq!(value(&ini, "nothing"), None);
        assert_eq!(value(&ini, "out"), Some("2"));
        assert_eq!(ini.get("s", "in"), Some(("2", "a.conf:12")));
        assert_eq!(ini.unused(), [], "all were asked for");
    }

    #[test]
    fn long_values_are_cut_with_a_warning() {
        let ini = load(&[("a", &format!("{}={}", "k".repeat(70), "v".repeat(300)))]).unwrap();
        assert_eq!(value(&ini, &"k".repeat(63)).unwrap().len(), 255);
        assert_eq!(ini.warnings().len(), 2);
        assert!(ini.warnings()[0].starts_with("a:1: "), "{:?}", ini.warnings());
    }

    #[test]
    fn includes_start_at_the_top_level_directory_and_reset_the_section() {
        let ini = load(&[
            ("/etc/fdfs/a.conf", "[s]\nx=1\n#INCLUDE sub/b.conf\ny=2\n##include no.conf\n"),
            ("/etc/fdfs/sub/b.conf", "z=3\n#include c.conf\n"),
            ("/etc/fdfs/c.conf", "w=4\n"),
        ])
        .unwrap();
        assert_eq!(ini.get("s", "x").unwrap().0, "1");
        for (key, expected) in [("y", "2"), ("z", "3"), ("w", "4")] {
            assert_eq!(value(&ini, key), Some(expected), "{key}");
        }
    }

    #[test]
    fn missing_and_circular_includes_fail_with_their_place() {
        let missing = load(&[("a.conf", "\n#include b.conf\n")]).unwrap_err();
        assert_eq!(missing.errno(), 2);
        assert!(missing.to_string().starts_with("a.conf:2: cannot read b.conf"), "{missing}");
        let quoted = load(&[("a.conf", "#include \"a.conf\"\n")]).unwrap_err();
        assert_eq!(quoted.errno(), 2);
        let circle = load(&[("a", "#include b\n"), ("b", "#include a\n")]).unwrap_err();
        assert!(circle.to_string().contains("includes itself"), "{circle}");
        let url = load(&[("a", "#include http://x/y.conf\n")]).unwrap_err();
        assert!(url.to_string().contains("fetch the file"), "{url}");
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let ini = load(&[("a.conf", "known=1\nunknown=2\n")]).unwrap();
        value(&ini, "known");
        assert_eq!(ini.unused(), [("a.conf:2".to_owned(), "unknown".to_owned())]);
    }

    #[test]
    fn files_that_include_each_other_endlessly_are_refused() {
        let twice = |name: &str| format!("#include {name}\n").repeat(1000);
        let error = load(&[("a", &twice("b")), ("b", &twice("c")), ("c", "")]).unwrap_err();
        assert!(error.to_string().contains("too many files"), "{error}");
        let large = "#\n".repeat(FILE_LEN_MAX / 2);
        assert!(load(&[("a", &large)]).is_ok());
        assert!(load(&[("a", &format!("{large}\n"))]).is_err());
        let error = load(&[("a", &"#include b\n".repeat(5)), ("b", &large)]).unwrap_err();
        assert!(error.to_string().contains("larger than"), "{error}");
        assert!(load(&[("a", &"k=1\n".repeat(ITEMS_MAX + 1))]).is_err(), "items");
        assert!(load(&[("HTTP://x/a.conf", "")]).is_err());
    }

    #[test]
    fn a_state_file_may_have_any_number_of_items() {
        let text: String = (0..4000).map(|at| format!("[S{at}]\n{}", "k=1\n".repeat(20))).collect();
        let ini = Ini::parse(&format!("{text}[Last]\nx=7\n"));
        assert_eq!(ini.sections().len(), 4001);
        assert_eq!(ini.section("Last").get_here("x"), Some("7"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(
            lines in proptest::collection::vec(
                proptest::string::string_regex(concat!(
                    "(#@(set|if|else|endif|for|endfor|function|add_annotation)|#include|\\[|)",
                    "[ \t]?(%\\{A\\}|A|i|LOCAL_IP_GET| in | from | to |=|\\$|\\{|\\}|[0-9]|\\]|\\[|é|.){0,12}",
                )).unwrap(),
                0..20,
            )
        ) {
            let text = lines.join("\n");
            if let Ok(ini) = load(&[("a.conf", &text)]) {
                ini.unused();
                ini.global().get("A");
            }
            Ini::parse(&text);
        }
    }
}
