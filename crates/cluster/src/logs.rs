//! Container logs as the API server gives them.

use reckon_model::{LogLine, Timestamp};

/// What the kubelet writes in place of a log whose container the runtime has already removed, with status 200 in some
/// versions.
const NOT_RETRIEVED: &str = "unable to retrieve container logs for ";

/// The lines of a log that was asked for with `timestamps=true`; `Err` is what the kubelet said instead of a log.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<LogLine>, String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if !text.contains('\n') && text.starts_with(NOT_RETRIEVED) {
        return Err(text.to_owned());
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(text.split('\n').map(line).collect())
}

fn line(line: &str) -> LogLine {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let (time, rest) = line.split_once(' ').unwrap_or((line, ""));
    match time.parse::<Timestamp>() {
        Ok(at) => LogLine { at: Some(at), text: rest.to_owned() },
        Err(_) => LogLine { at: None, text: line.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_time_and_its_text() {
        let lines = parse(b"2026-11-23T14:02:31.123456789Z panic: out of memory\r\n2026-11-23T14:02:32+02:00 \nno time\n2026-11-23T14:02:33Z")
            .unwrap();
        let texts: Vec<_> = lines.iter().map(|line| (line.at.is_some(), line.text.as_str())).collect();
        assert_eq!(texts, [(true, "panic: out of memory"), (true, ""), (false, "no time"), (true, "")]);
        assert_eq!(lines[0].at.unwrap().to_string(), "2026-11-23T14:02:31.123456789Z");
        assert_eq!(lines[1].at.unwrap().to_string(), "2026-11-23T12:02:32Z");
    }

    #[test]
    fn the_kubelets_excuse_is_no_log() {
        let excuse = b"unable to retrieve container logs for containerd://3f2a";
        assert!(parse(excuse).unwrap_err().starts_with("unable to retrieve"));
        assert_eq!(parse(b"").unwrap(), []);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_lose_the_line() {
        assert_eq!(parse(b"2026-11-23T14:02:33Z a\xffb\n").unwrap()[0].text, "a\u{fffd}b");
    }
}
