//! How much heap a runtime was told to take, by flags that stand in commands, arguments and variables.

use reckon_model::k8s::Container;

/// A flag that sets a heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// As written: `-Xmx512m`.
    pub(crate) written: String,
    /// What is set, without the value: `-Xmx`.
    pub(crate) flag: &'static str,
    /// Where it stands below the container.
    pub(crate) place: Place,
    size: Size,
}

/// Where a flag stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In `command`.
    Command,
    /// In `args`.
    Args,
    /// In the variable of this name.
    Variable(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Bytes(u64),
    /// Of the limit, in hundredths of a percent.
    Share(u64),
}

const MI: u64 = 1 << 20;

impl Setting {
    /// The heap in bytes, where the container may use so many.
    pub(crate) fn bytes(&self, limit: u64) -> u64 {
        match self.size {
            Size::Bytes(bytes) => bytes,
            Size::Share(share) => u64::try_from(u128::from(limit) * u128::from(share) / 10_000).unwrap_or(u64::MAX),
        }
    }

    /// Where it stands below the container, as a field.
    pub(crate) fn field(&self) -> &'static str {
        match self.place {
            Place::Command => "command",
            Place::Args => "args",
            Place::Variable(_) => "env",
        }
    }

    /// Whether only a JVM understands it.
    pub(crate) fn is_jvm(&self) -> bool {
        self.flag.starts_with("-X")
    }

    /// The same flag with another size.
    pub(crate) fn with(&self, bytes: u64) -> String {
        let mi = bytes / MI;
        match self.flag {
            "-Xmx" => format!("-Xmx{mi}m"),
            "GOMEMLIMIT" => format!("GOMEMLIMIT={mi}MiB"),
            "-XX:MaxRAMPercentage" => "-XX:MaxRAMPercentage=75".to_owned(),
            "-XX:MaxHeapSize" => format!("-XX:MaxHeapSize={mi}m"),
            flag => format!("{flag}={mi}"),
        }
    }
}

/// The heap that a container's runtime is told to take; of several the last, as runtimes take them. A variable is read
/// before the command line.
pub(crate) fn setting(container: &Container) -> Option<Setting> {
    let mut found = None;
    for variable in &container.env {
        let Some(value) = &variable.value else { continue };
        let place = || Place::Variable(variable.name.clone());
        if variable.name == "GOMEMLIMIT" {
            let size = go_size(value).map(Size::Bytes);
            let written = format!("GOMEMLIMIT={value}");
            found = size.map(|size| Setting { written, flag: "GOMEMLIMIT", place: place(), size }).or(found);
        }
        if may_say(value) {
            let words: Vec<&str> = value.split_whitespace().collect();
            found = last(&words, &place).or(found);
        }
    }
    for (list, place) in [(&container.command, Place::Command), (&container.args, Place::Args)] {
        if !list.iter().any(|argument| may_say(argument)) {
            continue;
        }
        // A shell is given all of it in one argument.
        let words: Vec<&str> = list.iter().flat_map(|argument| argument.split_whitespace()).collect();
        found = last(&words, &|| place.clone()).or(found);
    }
    found
}

/// Whether one of the flags may be in a text. Every container of every pod is asked, and hardly any has one.
fn may_say(text: &str) -> bool {
    text.contains('-') && ["-X", "--max"].iter().any(|flag| text.contains(flag))
}

fn last(words: &[&str], place: &dyn Fn() -> Place) -> Option<Setting> {
    words.iter().enumerate().rev().find_map(|(at, word)| {
        let word = word.trim_matches(['"', '\'']);
        let (flag, size) = flag(word, words.get(at + 1).copied())?;
        Some(Setting { written: word.to_owned(), flag, place: place(), size })
    })
}

fn flag(word: &str, next: Option<&str>) -> Option<(&'static str, Size)> {
    if let Some(size) = word.strip_prefix("-Xmx") {
        return Some(("-Xmx", Size::Bytes(java_size(size)?)));
    }
    if let Some(size) = word.strip_prefix("-XX:MaxHeapSize=") {
        return Some(("-XX:MaxHeapSize", Size::Bytes(java_size(size)?)));
    }
    if let Some(share) = word.strip_prefix("-XX:MaxRAMPercentage=") {
        return Some(("-XX:MaxRAMPercentage", Size::Share(hundredths(share)?)));
    }
    let rest = word.strip_prefix("--max-old-space-size").or_else(|| word.strip_prefix("--max_old_space_size"))?;
    let mi = match rest.strip_prefix('=') {
        Some(mi) => mi,
        None if rest.is_empty() => next?,
        None => return None,
    };
    Some(("--max-old-space-size", Size::Bytes(mi.parse::<u64>().ok()?.checked_mul(MI)?)))
}

/// `512m`, `2G`, `1048576`: the JVM knows k, m, g and t, in either case, as powers of 1024.
fn java_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `500MiB`, `1GiB`, `1000000B`, `1000000`.
fn go_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..)? {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `75`, `75.0`, `62.5` percent.
fn hundredths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let tenths = part.get(..1)?.parse::<u64>().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(tenths * 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::k8s::EnvVar;

    fn of(args: &[&str], env: &[(&str, &str)]) -> Option<Setting> {
        let variable = |(name, value): &(&str, &str)| EnvVar {
            name: (*name).into(),
            value: Some((*value).into()),
            value_from: None,
        };
        let args = args.iter().map(|word| (*word).to_owned()).collect();
        setting(&Container { args, env: env.iter().map(variable).collect(), ..Container::default() })
    }

    #[test]
    fn every_way_to_set_a_heap_is_read() {
        for (args, env, flag, mi) in [
            (&["-Xmx512m", "-jar", "a.jar"][..], &[][..], "-Xmx", 512),
            (&["-Xmx2G"], &[], "-Xmx", 2048),
            (&["-XX:MaxHeapSize=1g"], &[], "-XX:MaxHeapSize", 1024),
            (&["-XX:MaxRAMPercentage=75.0"], &[], "-XX:MaxRAMPercentage", 768),
            (&["sh", "-c", "exec java -Xmx300m -jar a.jar"], &[], "-Xmx", 300),
            (&["--max-old-space-size=400", "main.js"], &[], "--max-old-space-size", 400),
            (&["--max-old-space-size", "400", "main.js"], &[], "--max-old-space-size", 400),
            (&[], &[("JAVA_TOOL_OPTIONS", "-Dx=y -Xmx256m")], "-Xmx", 256),
            (&[], &[("NODE_OPTIONS", "--max_old_space_size=128")], "--max-old-space-size", 128),
            (&[], &[("GOMEMLIMIT", "900MiB")], "GOMEMLIMIT", 900),
        ] {
            let setting = of(args, env).unwrap();
            assert_eq!((setting.flag, setting.bytes(1 << 30) / MI), (flag, mi), "{args:?} {env:?}");
        }
    }

    #[test]
    fn the_last_counts_and_the_command_line_comes_after_variables() {
        let setting = of(&["-Xmx1g", "-Xmx2g"], &[("JAVA_OPTS", "-Xmx3g")]).unwrap();
        assert_eq!((setting.written.as_str(), setting.place.clone()), ("-Xmx2g", Place::Args));
        assert_eq!(setting.with(768 * MI), "-Xmx768m");
    }

    #[test]
    fn what_is_no_size_is_no_setting() {
        for args in [
            &["-Xmxbig"][..],
            &["-Xms1g"],
            &["--max-old-space-size"],
            &["-XX:MaxRAMPercentage=x"],
            &["-Xmx99999999999t"],
        ] {
            assert_eq!(of(args, &[]), None, "{args:?}");
        }
        assert_eq!(of(&[], &[("GOMEMLIMIT", "off")]), None);
    }
}
