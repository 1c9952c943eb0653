//! Tokens as they are kept: never in the clear.

use crate::append::time;
use crate::sql::{Row, Sql, cells};
use crate::{Error, Grant, Issued, KnownToken, Secret, TokenHash, TokenId, Who};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reckon_model::{ClusterId, Timestamp};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

impl TokenHash {
    /// The hash of a token in the clear.
    pub fn of(token: &str) -> TokenHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        TokenHash(hash)
    }
}

impl Secret {
    /// A token of 256 random bits from the operating system that no store knows.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn random(kind: &str) -> Result<Secret, Error> {
        Ok(Secret(format!("reckon_{kind}_{}", URL_SAFE_NO_PAD.encode(random::<32>()?))))
    }
}

fn kind(grant: &Grant) -> (&'static str, &str) {
    match grant {
        Grant::Enrol => ("enrol", ""),
        Grant::Agent(cluster) => ("agent", &cluster.0),
        Grant::User(name) => ("user", name),
    }
}

fn grant(kind: &str, bearer: String) -> Result<Grant, Error> {
    match kind {
        "enrol" => Ok(Grant::Enrol),
        "agent" => Ok(Grant::Agent(ClusterId(bearer))),
        "user" => Ok(Grant::User(bearer)),
        _ => Err(Error::Corrupt("what a token grants".to_owned())),
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(bytes)
}

/// See [`crate::Store::issue`].
pub(crate) async fn issue<S: Sql>(
    db: &mut S,
    grant: &Grant,
    label: &str,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<Issued, Error> {
    let (kind, bearer) = kind(grant);
    let secret = Secret::random(kind)?;
    let id = URL_SAFE_NO_PAD.encode(random::<9>()?);
    let hash = TokenHash::of(secret.reveal()).0.to_vec();
    let expires = expires.map(Timestamp::as_millisecond);
    let params = cells![id.as_str(), hash, kind, bearer, label, now.as_millisecond(), expires];
    db.execute("INSERT INTO token VALUES ($1, $2, $3, $4, $5, $6, $7)", &params).await?;
    Ok(Issued { id: TokenId(id), secret })
}

/// See [`crate::Store::enrol`].
pub(crate) async fn enrol<S: Sql>(
    db: &mut S,
    token: &TokenHash,
    cluster: &ClusterId,
    now: Timestamp,
) -> Result<Option<Issued>, Error> {
    let label = label(db, token).await?;
    let Some(Who { id, grant: Grant::Enrol, .. }) = who(db, token, now).await? else { return Ok(None) };
    // Of two who come at the same time one removes it.
    if !revoke(db, &id).await? {
        return Ok(None);
    }
    issue(db, &Grant::Agent(cluster.clone()), &label, None, now).await.map(Some)
}

async fn label<S: Sql>(db: &mut S, token: &TokenHash) -> Result<String, Error> {
    let mut rows = db.query("SELECT label FROM token WHERE hash = $1", &cells![token.0.to_vec()]).await?;
    rows.first_mut().map_or(Ok(String::new()), |row| row.text(0))
}

/// See [`crate::Store::who`].
pub(crate) async fn who<S: Sql>(db: &mut S, token: &TokenHash, now: Timestamp) -> Result<Option<Who>, Error> {
    let sql = "SELECT id, kind, bearer, label, issued, expires FROM token WHERE hash = $1";
    let mut rows = db.query(sql, &cells![token.0.to_vec()]).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    let KnownToken { id, grant, label: _, issued: _, expires } = read(row)?;
    Ok(expires.is_none_or(|expires| now < expires).then_some(Who { id, grant, expires }))
}

/// See [`crate::Store::revoke`].
pub(crate) async fn revoke<S: Sql>(db: &mut S, token: &TokenId) -> Result<bool, Error> {
    Ok(db.execute("DELETE FROM token WHERE id = $1", &cells![token.0.as_str()]).await? > 0)
}

/// See [`crate::Store::tokens`].
pub(crate) async fn tokens<S: Sql>(db: &mut S) -> Result<Vec<KnownToken>, Error> {
    let sql = "SELECT id, kind, bearer, label, issued, expires FROM token ORDER BY issued, id";
    db.query(sql, &cells![]).await?.iter_mut().map(read).collect()
}

fn read(row: &mut Row) -> Result<KnownToken, Error> {
    Ok(KnownToken {
        id: TokenId(row.text(0)?),
        grant: grant(&row.text(1)?, row.text(2)?)?,
        label: row.text(3)?,
        issued: time(row.int(4)?)?,
        expires: row.maybe_int(5)?.map(time).transpose()?,
    })
}
