//! Orgs, their users, and the keys and sessions that users come with.

use super::{AuditEntry, Result, Store, Stored, each, now_ms, random_id};
use reverse_sync::digest::Digest;
use serde_json::json;
use sqlx::{FromRow as _, Row as _};
use std::{fmt, str::FromStr};
use subtle::ConstantTimeEq;

/// What a key may be used for. Each may do what the one before may.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Brings golden records, plans, confirms, stops and undoes.
    Operator,
    /// Sets up sources, destinations and keys.
    Admin,
}

super::decode!(Role, str::parse::<Role>);

impl Role {
    /// The word in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Role, String> {
        match text {
            "viewer" => Ok(Role::Viewer),
            "operator" => Ok(Role::Operator),
            "admin" => Ok(Role::Admin),
            other => Err(format!("`{other}` is not a role; there are viewer, operator and admin")),
        }
    }
}

/// Who sends a request.
#[derive(Clone, Debug)]
pub struct Member {
    /// The org, whose rows alone are seen.
    pub org_id: String,
    /// Its name.
    pub org_name: String,
    /// Whether it is the org of one person, which has no other members.
    pub solo: bool,
    /// The user.
    pub user_id: String,
    /// Their name, which the audit log keeps.
    pub user_name: String,
    /// The key that they came with.
    pub key_id: String,
    /// What it may be used for.
    pub role: Role,
}

impl Member {
    /// How the audit log names them: for people and for programs.
    pub fn who(&self) -> String {
        format!("{} ({})", self.user_name, self.user_id)
    }
}

/// A key as it is listed.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// Names it.
    pub key_id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub role: Role,
    /// When it was made.
    pub created_at: i64,
}

/// A key that was just made.
pub struct NewKey {
    /// How it is listed.
    pub row: ApiKeyRow,
    /// The key itself, which nobody can look up later.
    pub api_key: secrecy::SecretString,
}

/// Whether a key was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It was.
    Done,
    /// There is none.
    Missing,
    /// It is the org's last admin key, without which nobody could make another one.
    LastAdmin,
}

/// The turn of those who make users or revoke keys, so that the org of one person gets no second
/// one and every org keeps an admin. See [`Store::take_turn`].
const USERS: i64 = 0x7273_0010;
/// How long a session lasts.
const SESSION_MS: i64 = 12 * 3600 * 1000;

const MEMBER: &str = "SELECT k.key_id, k.role, k.secret_hash, u.user_id, u.name AS user_name, o.org_id, o.name AS org_name, o.solo \
     FROM api_keys k JOIN users u ON u.user_id = k.user_id JOIN orgs o ON o.org_id = k.org_id WHERE k.revoked_at IS NULL AND k.key_id = ";

fn hash(secret: &str) -> String {
    Digest::of(secret.as_bytes()).hex()
}

super::from_row!("api_keys", key_id by created_at.key_id, ApiKeyRow { key_id, name, role, created_at });

super::from_row!("api_keys", key_id, Member { org_id, org_name, solo => |solo: i64| solo != 0, user_id, user_name, key_id, role });

impl Store {
    /// Makes an org, and its row in the audit log.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn add_org(&self, name: &str, solo: bool, who: &str) -> Result<String> {
        let org_id = random_id("org_", 10);
        let mut write = self.write().await?;
        sqlx::query("INSERT INTO orgs (org_id, name, solo, created_at) VALUES ($1, $2, $3, $4)")
            .bind(&org_id)
            .bind(name)
            .bind(i64::from(solo))
            .bind(now_ms())
            .execute(&mut *write)
            .await?;
        let detail = json!({"name": name, "solo": solo});
        self.log_within(&mut write, &AuditEntry::new(&org_id, who, "org.create", &detail)).await?;
        write.commit().await?;
        Ok(org_id)
    }

    /// All orgs: id, name, whether it is of one person.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn orgs(&self) -> Result<Vec<(String, String, bool)>> {
        let sql = "SELECT org_id, name, solo FROM orgs ORDER BY created_at, org_id";
        let rows: Vec<(String, String, i64)> = sqlx::query_as(sql).fetch_all(&self.reads).await?;
        Ok(rows.into_iter().map(|(org_id, name, solo)| (org_id, name, solo != 0)).collect())
    }

    /// The org of this id, if there is one: its name, and whether it is of one person.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn org(&self, org_id: &str) -> Result<Option<(String, bool)>> {
        let sql = "SELECT name, solo FROM orgs WHERE org_id = $1";
        let row: Option<(String, i64)> =
            sqlx::query_as(sql).bind(org_id).fetch_optional(&self.reads).await?;
        Ok(row.map(|(name, solo)| (name, solo != 0)))
    }

    /// Makes a key for the user of this name, who is made too if there is none. All keys of the org
    /// of one person are theirs. It is logged, without the key itself.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn add_key(
        &self,
        org_id: &str,
        user_name: &str,
        key_name: &str,
        role: Role,
        who: &str,
    ) -> Result<NewKey> {
        let mut write = self.write().await?;
        self.take_turn(&mut write, USERS).await?;
        let sql = "SELECT u.user_id FROM users u JOIN orgs o ON o.org_id = u.org_id WHERE u.org_id = $1 AND (u.name = $2 OR o.solo = 1) \
                   ORDER BY u.created_at, u.user_id LIMIT 1";
        let known = sqlx::query_scalar(sql)
            .bind(org_id)
            .bind(user_name)
            .fetch_optional(&mut *write)
            .await?;
        let user_id: String = match known {
            Some(user_id) => user_id,
            None => {
                let user_id = random_id("usr_", 10);
                sqlx::query(
                    "INSERT INTO users (user_id, org_id, name, created_at) VALUES ($1, $2, $3, $4)",
                )
                .bind(&user_id)
                .bind(org_id)
                .bind(user_name)
                .bind(now_ms())
                .execute(&mut *write)
                .await?;
                user_id
            }
        };
        let (key_id, secret) = (random_id("key_", 8), random_id("", 32));
        let row = ApiKeyRow {
            key_id: key_id.clone(),
            name: key_name.to_owned(),
            role,
            created_at: now_ms(),
        };
        sqlx::query(
            "INSERT INTO api_keys (key_id, org_id, user_id, name, role, secret_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&key_id)
        .bind(org_id)
        .bind(&user_id)
        .bind(key_name)
        .bind(role.as_str())
        .bind(hash(&secret))
        .bind(row.created_at)
        .execute(&mut *write)
        .await?;
        let detail = json!({"key_id": key_id, "name": key_name, "role": role});
        self.log_within(&mut write, &AuditEntry::new(org_id, who, "api_key.create", &detail))
            .await?;
        write.commit().await?;
        let api_key = format!("rsk_{}_{secret}", &key_id["key_".len()..]).into();
        Ok(NewKey { row, api_key })
    }

    /// The keys of an org that can be used.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn keys(&self, org_id: &str) -> Result<Vec<Stored<ApiKeyRow>>> {
        let sql = "SELECT key_id, name, role, created_at FROM api_keys WHERE org_id = $1 AND revoked_at IS NULL ORDER BY created_at, key_id";
        each(&sqlx::query(sql).bind(org_id).fetch_all(&self.reads).await?)
    }

    /// Revokes a key that is not the org's last admin key, and the sessions that were opened with
    /// it.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn revoke_key(&self, org_id: &str, key_id: &str, who: &str) -> Result<Revoked> {
        let mut write = self.write().await?;
        self.take_turn(&mut write, USERS).await?;
        let sql = "SELECT k.role, (SELECT COUNT(*) FROM api_keys o WHERE o.org_id = k.org_id AND o.role = 'admin' AND o.revoked_at IS NULL) AS admins \
                   FROM api_keys k WHERE k.org_id = $1 AND k.key_id = $2 AND k.revoked_at IS NULL";
        match sqlx::query_as::<_, (Role, i64)>(sql)
            .bind(org_id)
            .bind(key_id)
            .fetch_optional(&mut *write)
            .await?
        {
            None => return Ok(Revoked::Missing),
            Some((Role::Admin, admins)) if admins < 2 => return Ok(Revoked::LastAdmin),
            Some(_) => {}
        }
        sqlx::query("UPDATE api_keys SET revoked_at = $1 WHERE org_id = $2 AND key_id = $3")
            .bind(now_ms())
            .bind(org_id)
            .bind(key_id)
            .execute(&mut *write)
            .await?;
        sqlx::query("DELETE FROM sessions WHERE key_id = $1")
            .bind(key_id)
            .execute(&mut *write)
            .await?;
        self.log_within(
            &mut write,
            &AuditEntry::new(org_id, who, "api_key.revoke", &json!({"key_id": key_id})),
        )
        .await?;
        write.commit().await?;
        Ok(Revoked::Done)
    }

    /// Whose key this is, if it is one.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn member_by_key(&self, api_key: &str) -> Result<Option<Member>> {
        let Some((id, secret)) = api_key.strip_prefix("rsk_").and_then(|rest| rest.split_once('_'))
        else {
            return Ok(None);
        };
        let sql = sqlx::AssertSqlSafe(format!("{MEMBER} $1"));
        let Some(row) =
            sqlx::query(sql).bind(format!("key_{id}")).fetch_optional(&self.reads).await?
        else {
            return Ok(None);
        };
        let kept: String = row.try_get("secret_hash")?;
        if bool::from(kept.as_bytes().ct_eq(hash(secret).as_bytes())) {
            Ok(Some(Member::from_row(&row)?))
        } else {
            Ok(None)
        }
    }

    /// Opens a session for a key, and logs it with what it was opened by. What is returned is the
    /// cookie's value; nothing, if there is no such key, or it was revoked.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn open_session(
        &self,
        key_id: &str,
        by: &str,
    ) -> Result<Option<secrecy::SecretString>> {
        let secret = random_id("", 32);
        let mut write = self.write().await?;
        self.take_turn(&mut write, USERS).await?;
        let sql = sqlx::AssertSqlSafe(format!("{MEMBER} $1"));
        let Some(member) =
            sqlx::query_as::<_, Member>(sql).bind(key_id).fetch_optional(&mut *write).await?
        else {
            return Ok(None);
        };
        sqlx::query("DELETE FROM sessions WHERE expires_at < $1")
            .bind(now_ms())
            .execute(&mut *write)
            .await?;
        sqlx::query("INSERT INTO sessions (session_hash, key_id, expires_at) VALUES ($1, $2, $3)")
            .bind(hash(&secret))
            .bind(key_id)
            .bind(now_ms() + SESSION_MS)
            .execute(&mut *write)
            .await?;
        let detail = json!({ "key_id": key_id, "by": by });
        self.log_within(
            &mut write,
            &AuditEntry::new(&member.org_id, &member.who(), "session.open", &detail),
        )
        .await?;
        write.commit().await?;
        Ok(Some(secret.into()))
    }

    /// Whose session this is, if it has not ended.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn member_by_session(&self, session: &str) -> Result<Option<Member>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{MEMBER} (SELECT key_id FROM sessions WHERE session_hash = $1 AND expires_at >= $2)"
        ));
        Ok(sqlx::query_as(sql)
            .bind(hash(session))
            .bind(now_ms())
            .fetch_optional(&self.reads)
            .await?)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn close_session(&self, session: &str) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE session_hash = $1")
            .bind(hash(session))
            .execute(&self.writes)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;
    use secrecy::ExposeSecret;

    #[tokio::test]
    async fn the_org_of_one_person_has_one_user() {
        let (_dir, store) = store().await;
        for (solo, users) in [(true, 1), (false, 2)] {
            let org = store.add_org("Acme", solo, "ada").await.unwrap();
            let mut seen = std::collections::BTreeSet::new();
            for name in ["ada", "nightly", "ada"] {
                let key = store.add_key(&org, name, name, Role::Admin, "ada").await.unwrap();
                assert_eq!(key.row.name, name);
                seen.insert(
                    store
                        .member_by_key(key.api_key.expose_secret())
                        .await
                        .unwrap()
                        .unwrap()
                        .user_id,
                );
            }
            assert_eq!(seen.len(), users, "solo: {solo}");
        }
    }

    #[tokio::test]
    async fn a_key_opens_until_it_is_revoked_and_its_sessions_end_with_it() {
        let (_dir, store) = store().await;
        let org = store.add_org("Acme", false, "ada").await.unwrap();
        let key = store.add_key(&org, "ada", "laptop", Role::Operator, "ada").await.unwrap();
        let text = key.api_key.expose_secret().to_owned();
        let member = store.member_by_key(&text).await.unwrap().unwrap();
        assert_eq!(
            (member.org_id.as_str(), member.user_name.as_str(), member.role),
            (org.as_str(), "ada", Role::Operator)
        );
        let session = store.open_session(&member.key_id, "api_key").await.unwrap().unwrap();
        assert!(store.member_by_session(session.expose_secret()).await.unwrap().is_some());

        let mut wrong = text.clone();
        wrong.pop();
        for bad in ["", "rsk_", "rsk_x_y", wrong.as_str(), session.expose_secret()] {
            assert!(store.member_by_key(bad).await.unwrap().is_none(), "{bad}");
        }
        let other = store.add_org("Other", false, "ada").await.unwrap();
        assert_eq!(
            store.revoke_key(&other, &member.key_id, "ada").await.unwrap(),
            Revoked::Missing
        );
        assert!(
            store.member_by_session(session.expose_secret()).await.unwrap().is_some(),
            "another org ends no session of this one"
        );
        assert_eq!(store.revoke_key(&org, &member.key_id, "ada").await.unwrap(), Revoked::Done);
        assert!(store.member_by_key(&text).await.unwrap().is_none());
        assert!(store.member_by_session(session.expose_secret()).await.unwrap().is_none());
    }
}
