//! What looks like a secret: by the name of its field, or by the value itself.

use std::{borrow::Cow, str::SplitWhitespace, sync::LazyLock};

use serde_json::Value;

/// Parts of names, wherever they stand in the name without its punctuation: in English, in other
/// languages with and without accents, in other scripts.
const PARTS: &str = "\
    password passwd passw0rd passphrase passcode passkey pwd pwhash passhash hashedpass userpass \
    dbpass smtppass mailpass adminpass rootpass ftppass loginpass secret token jwt credential \
    creds authorization authheader basicauth apikey accesskey privatekey privkey signingkey \
    encryptionkey decryptionkey masterkey servicekey sharedkey sessionkey hmackey licensekey \
    authkey appkey clientkey consumerkey sshkey accountkey webhookkey sessionid sessid \
    connectionstring connectionuri connectionurl connstring connstr databaseurl databaseuri \
    dburl dburi mongourl mongouri mongodburl mongodburi postgresurl redisurl jdbcurl authcode \
    otpcode mfacode smscode logincode accesscode verificationcode confirmationcode resetcode \
    recoverycode backupcode securitycode securityanswer codeverifier magiclink resetlink \
    seedphrase mnemonicphrase passwort kennwort geheim motdepasse contraseña contrasena senha \
    wachtwoord lösenord losenord adgangskode salasana hasło haslo heslo jelszó jelszo şifre \
    sifre parolă matkhau mậtkhẩu katasandi парол секрет токен пинкод 密码 密碼 口令 密钥 密鑰 秘密 令牌 凭证 凭据 \
    憑證 パスワード 暗証番号 トークン 合言葉 シークレット 비밀번호 암호 패스워드 비밀 토큰 كلمةالمرور كلمةالسر رمزعبور گذرواژه סיסמה \
    סיסמא κωδικόςπρόσβασης κωδικοσπροσβασησ συνθηματικό पासवर्ड รหัสผ่าน პაროლი գաղտնաբառ";

/// Words that contain one of the parts, and mean something else.
const HARMLESS: &str = "\
    secretary secretari secretion tokeniz tokenis passwordless";

/// Short words, which count only as a word of their own (`dbPin`, not `pinned`): the last one of
/// the name, or with one of `BEHIND` after it.
const WORDS: &str = "\
    pass pin otp totp hotp salt bearer cookie cookies sid dsn psk pat cvv cvc csrf xsrf cred \
    mnemonic parola parool clave sandi mdp";

const BEHIND: &str = "\
    code codes hash hashed digest value number no raw plain text encrypted enc header";

/// Last words of names that tell about a secret and hold none.
const ABOUT: &str = "\
    at on date time expires expiry expiration expired changed change updated created count \
    counts length limit used usage total policy strength enabled required verified valid type \
    algorithm version attempts status budget cost price";

/// First words of such names.
const WHETHER: &str = "\
    is has needs requires must last";

/// First words of numbers of tokens.
const COUNTING: &str = "\
    max min num number total count prompt completion input output used remaining";

fn listed(list: &'static str) -> SplitWhitespace<'static> {
    list.split_whitespace()
}

fn is_in(word: &str, list: &'static str) -> bool {
    listed(list).any(|listed| listed == word)
}

/// Whether a field with this name most likely holds a secret: a password, a key, a token, a
/// session, an address with a password. Names that only tell about one do not count
/// (`passwordChangedAt`, `maxTokens`).
///
/// ```
/// use authorstack_core::migrate::looks_like_secret;
///
/// assert!(looks_like_secret("refresh_token") && looks_like_secret("пароль"));
/// assert!(!looks_like_secret("pinned") && !looks_like_secret("tokensUsed"));
/// ```
#[must_use]
pub fn looks_like_secret(field: &str) -> bool {
    of_name(field).is_some()
}

/// What the name of a field promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// A secret, whatever its type.
    Secret,
    /// Tokens: a secret, unless it is their number.
    Tokens,
}

fn of_name(name: &str) -> Option<Promise> {
    let words = words(name);
    let found = of_words(&words);
    if found.is_some() || name.is_ascii() {
        return found;
    }
    // Letters of another script that look like Latin ones.
    let folded = words
        .iter()
        .map(|word| word.chars().map(lookalike).collect());
    let folded: Vec<String> = folded.collect();
    of_words(&folded)
}

/// [`PARTS`] in the form of [`words`].
static PLAIN_PARTS: LazyLock<Vec<String>> =
    LazyLock::new(|| listed(PARTS).map(|part| words(part).concat()).collect());

fn of_words(words: &[String]) -> Option<Promise> {
    let (first, last) = (words.first()?.as_str(), words.last()?.as_str());
    if words.len() > 1 && (is_in(last, ABOUT) || is_in(first, WHETHER)) {
        return None;
    }
    let mut plain = words.concat();
    // Passport, the library, names its two fields so.
    if plain == "hash" {
        return Some(Promise::Secret);
    }
    for harmless in listed(HARMLESS) {
        if plain.contains(harmless) {
            plain = plain.replace(harmless, "");
        }
    }
    let mut found = PLAIN_PARTS.iter().filter(|part| plain.contains(*part));
    match found.next() {
        Some(part) if part == "token" && found.next().is_none() => {
            return (!is_in(first, COUNTING)).then_some(Promise::Tokens);
        }
        Some(_) => return Some(Promise::Secret),
        None => {}
    }
    let short = words.iter().enumerate().any(|(at, word)| {
        is_in(word, WORDS) && words[at + 1..].iter().all(|next| is_in(next, BEHIND))
    });
    short.then_some(Promise::Secret)
}

/// The words of a name, in lower case: `JWTToken2` has three, with `2` left out.
fn words(name: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
    };
    let mut characters = name.chars().map(narrow).peekable();
    let mut before = ' ';
    while let Some(c) = characters.next() {
        if is_joined(c) {
            continue;
        }
        let next_is_small = characters.peek().is_some_and(|next| next.is_lowercase());
        let begins =
            c.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && next_is_small));
        let is_digit = c.is_ascii_digit();
        // `passw0rd` is one word.
        let is_inside = is_digit && before.is_lowercase() && next_is_small;
        if begins || !c.is_alphanumeric() || (is_digit && !is_inside) {
            end(&mut word);
        }
        if c.is_alphanumeric() && (!is_digit || is_inside) {
            word.extend(c.to_lowercase().filter(|c| !is_joined(*c)));
        }
        before = c;
    }
    end(&mut word);
    words
}

/// Marks without a width of their own, which join the letter before.
fn is_joined(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}') || (crate::shown::is_unseen(c) && !c.is_control())
}

/// A wide form of an ASCII character as that character.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// The Latin letter that a Cyrillic or Greek one looks like.
const fn lookalike(c: char) -> char {
    match c {
        'а' | 'α' => 'a',
        'в' => 'b',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ё' | 'ε' => 'e',
        'ɡ' => 'g',
        'һ' | 'н' => 'h',
        'і' | 'ι' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'м' => 'm',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'ѵ' | 'ν' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        other => other,
    }
}

/// Whether a field holds a secret, by its name and the type of its value: yes or no is none, nor is
/// a date, nor a number of tokens.
pub(super) fn is_secret(name: &str, value: &Value) -> bool {
    let Some(promise) = of_name(name) else {
        return false;
    };
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => promise == Promise::Secret,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => match members.keys().next().map(String::as_str) {
            None | Some("$date") => false,
            // Extended JSON.
            Some("$numberInt" | "$numberLong" | "$numberDouble" | "$numberDecimal") => {
                promise == Promise::Secret
            }
            Some(_) => true,
        },
    }
}

/// Members of an object that name what another member holds.
const NAMING: &str = "\
    name key field label id k header param property setting type kind";

/// Members that hold it.
const HOLDING: &str = "\
    value values val v data content text secret";

/// Whether a member is the value of a pair that names a secret: `{name: "password", value: …}`.
pub(super) fn is_named_secret(pair: &serde_json::Map<String, Value>, member: &str) -> bool {
    let is_one_of = |name: &str, list| is_in(&name.to_lowercase(), list);
    is_one_of(member, HOLDING)
        && pair.iter().any(|(name, value)| {
            let says = value.as_str().filter(|_| is_one_of(name, NAMING));
            // A title is no name of a field.
            let says = says.filter(|text| text.len() <= 64);
            says.is_some_and(|says| is_secret(says, &pair[member]))
        })
}

/// Whether a text looks like a secret, or holds one.
pub(super) fn holds_secret(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
        || text.split(is_between).any(is_secret_word)
        || is_header(text.trim())
}

/// A text with its secrets replaced, for messages.
pub(super) fn veiled(text: &str) -> Cow<'_, str> {
    if !holds_secret(text) {
        return Cow::Borrowed(text);
    }
    let mut veiled = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_between) {
        let word = piece.trim_end_matches(is_between);
        if is_secret_word(word) {
            veiled.push_str("***");
            veiled.push_str(&piece[word.len()..]);
        } else {
            veiled.push_str(piece);
        }
    }
    if holds_secret(&veiled) {
        return Cow::Borrowed("*** (its value looks like a secret)");
    }
    Cow::Owned(veiled)
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '(' | ')' | '<' | '>' | '\\')
}

/// The beginnings of providers' keys.
const KEYS: &str = "\
    sk_live_ sk_test_ rk_live_ rk_test_ whsec_ sk- ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- \
    xoxa- xoxb- xoxp- xoxr- xoxs- xapp- ya29. npm_ pypi- shpat_ shpss_ shpca_ sbp_ sb_secret_ \
    dop_v1_ hf_ sq0atp- sq0csp- dckr_pat_ hvs. SG. AIza lin_api_ figd_ PMAK- AGE-SECRET-KEY- r8_ \
    rnd_ ATATT3";

/// The beginnings of password hashes.
const HASHES: &str = "\
    $argon2 $2a$ $2b$ $2x$ $2y$ $scrypt $pbkdf2 $7$ $1$ $5$ $6$ $y$ $P$ $H$ $apr1$ $sha1$ \
    pbkdf2_sha pbkdf2:sha scrypt: bcrypt$ bcrypt_sha256$ argon2$ {SSHA} {SSHA256} {SSHA512} \
    {BCRYPT} SCRAM-SHA-";

/// Names in addresses and settings, with `=` and the secret behind them.
const ASSIGNED: &str = "\
    password= passwd= pwd= secret= access_token= refresh_token= api_key= apikey= accountkey= \
    sharedaccesskey= sharedaccesssignature= private_key= x-amz-signature=";

fn is_secret_word(word: &str) -> bool {
    /// Longer words are no keys; certificates and images are.
    const MOST: usize = 64 << 10;
    if word.len() < 8 || word.len() > MOST {
        return false;
    }
    is_jwt(word)
        || listed(HASHES).any(|start| {
            let rest = word.strip_prefix(start);
            rest.is_some_and(|rest| {
                rest.len() >= 22 || (rest.len() >= 16 && rest.contains(['$', ':', '/', '+', '.']))
            })
        })
        || listed(KEYS).any(|start| word.strip_prefix(start).is_some_and(is_key))
        || is_aws_key(word)
        || has_password(word)
        || assigns_secret(word)
        || word
            .strip_prefix("md5")
            .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
        || (word.starts_with("https://hooks.slack.com/services/") && word.len() > 60)
}

/// Sixteen characters or more, one of them a digit.
fn is_key(rest: &str) -> bool {
    let of_key =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=' | b'/' | b'+');
    let key: Vec<u8> = rest.bytes().take_while(of_key).collect();
    key.len() >= 16 && key.iter().any(u8::is_ascii_digit)
}

fn is_aws_key(word: &str) -> bool {
    let rest = word
        .strip_prefix("AKIA")
        .or_else(|| word.strip_prefix("ASIA"));
    rest.is_some_and(|rest| {
        rest.len() == 16
            && rest
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    })
}

/// A signed or encrypted token: three or five parts in base64, the first of them a JSON object.
fn is_jwt(word: &str) -> bool {
    // In an address or a setting, it stands behind another word.
    let Some(at) = word.find("eyJ") else {
        return false;
    };
    let of_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let token = &word[at..];
    let end = token
        .bytes()
        .position(|b| !of_token(b))
        .unwrap_or(token.len());
    let parts: Vec<&str> = token[..end].split('.').collect();
    parts.len() >= 3 && parts[0].len() >= 10 && parts[1].len() + parts[2].len() >= 16
}

/// An address with a password: `scheme://user:password@host`.
fn has_password(word: &str) -> bool {
    word.match_indices("://").any(|(at, _)| {
        let rest = &word[at + 3..];
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A password may hold a slash that was not escaped; what looks like a port is none.
        let (_, port) = rest[..end].split_once(':').unwrap_or_default();
        let is_odd = port.bytes().any(|b| !b.is_ascii_digit());
        let authority = if is_odd && !rest[..end].contains('@') {
            rest
        } else {
            &rest[..end]
        };
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        let password = user.and_then(|user| user.split_once(':'));
        password.is_some_and(|(_, password)| !password.is_empty() && !password.contains("://"))
    })
}

fn assigns_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    listed(ASSIGNED).any(|name| {
        lower.match_indices(name).any(|(at, _)| {
            let begins = lower[..at].chars().next_back();
            let begins = begins.is_none_or(|c| !c.is_alphanumeric());
            let value = lower[at + name.len()..].split(['&', ';', '#']).next();
            begins && value.is_some_and(|value| value.len() >= 3)
        })
    })
}

/// The value of an `Authorization` header.
fn is_header(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(' ') else {
        return false;
    };
    let of_base64 = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=' | b'/' | b'+' | b'~')
    };
    let is_one = rest.len() >= 12 && rest.bytes().all(of_base64);
    let mixed = rest.bytes().any(|b| !b.is_ascii_lowercase());
    is_one
        && mixed
        && (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::migrate::Kind;

    #[test]
    fn names_of_secrets() {
        let names = "\
            password passwordHash user_password PASSWORD pwd userPwd pass smtp_pass pin pinCode \
            userPIN jwt JWTToken bearer sessionId session_id creds awsCreds signingKey \
            connectionString dsn API-Key apiKey2 refresh_token accessToken token tokens \
            clientSecret salt hash otp backupCodes connect.sid cookie authorization privateKey \
            passw0rd mongodb_uri passwordReset resetToken ｐａｓｓｗｏｒｄ pass\u{200b}word раssword \
            tоken пароль Пароль_пользователя секрет 密码 密碼 パスワード 비밀번호 סיסמה contraseña \
            contrasen\u{303}a Passwort mot_de_passe รหัสผ่าน";
        for name in names.split_whitespace().chain(["كلمة المرور"]) {
            assert!(looks_like_secret(name), "{name}");
        }
    }

    #[test]
    fn names_of_other_things() {
        let names = "\
            title authId credits credits_spent passage passenger passengers keywords series \
            pinned pinnedAt isPinned pinterest spinning tokensUsed tokenCount token_count \
            maxTokens promptTokens tokenizer secretary passwordChangedAt password_updated_at \
            hasPassword tokenExpiresAt footprint basalt compass bypassed passRate contentHash \
            session sessions keys publicKey primaryKey hotpink option potpourri patron patreon \
            ключевыеСлова название 标题 题目 タイトル 제목 _ 9 cookiecutter accreditation";
        for name in names.split_whitespace().chain([""]) {
            assert!(!looks_like_secret(name), "{name}");
        }
        for kind in Kind::ALL {
            for field in kind.fields() {
                assert!(!looks_like_secret(field.name), "{kind} {}", field.name);
            }
        }
    }

    #[test]
    fn the_type_of_the_value_counts() {
        assert!(is_secret("tokens", &json!(["a"])) && is_secret("pin", &json!(1234)));
        assert!(is_secret("otp", &json!({"$numberInt": "123456"})));
        for (name, value) in [
            ("tokens", json!(500)),
            ("tokens", json!({"$numberInt": "500"})),
            ("password", json!(null)),
            ("password", json!(true)),
            ("passwordReset", json!({"$date": {"$numberLong": "1"}})),
        ] {
            assert!(!is_secret(name, &value), "{name} {value}");
        }
    }

    #[test]
    fn values_that_are_secrets() {
        let bcrypt = format!(
            "$2b$12${}",
            "abcdefghijklmnopqrstuv0123456789ABCDEFGHIJKLMNOPQRSTU"
        );
        let stripe = ["sk", "live", "4eC39HqLyjWDarjtT1zdp7dc"].join("_");
        for text in [
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
            bcrypt.as_str(),
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b27EA",
            "pbkdf2_sha256$260000$abc$Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6",
            stripe.as_str(),
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "AKIAIOSFODNN7EXAMPLE",
            "mongodb+srv://app:hunter2@cluster.example.net/db",
            "postgres://u:p/w@h/d",
            "see postgres://app:hunter2@db.example.net/app, please",
            "Server=db;User Id=app;Password=hunter2;",
            "host=db password=hunter2",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcdef==",
            "https://api.example.net/?access_token=abcdef",
            "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
            "Basic dXNlcjpodW50ZXIy",
        ] {
            assert!(holds_secret(text), "{text}");
            let veiled = veiled(text);
            assert!(!holds_secret(&veiled), "{veiled}");
        }
    }

    #[test]
    fn values_that_are_none() {
        for text in [
            "",
            "Secret Garden",
            "6b0379ca3f6979be1a457c2c",
            "https://example.org/a:b@c.png",
            "https://user@example.org/",
            "ada@example.org",
            "The price is $1 or $5 or $6",
            "sk-learn is a library for machines",
            "eyJ",
            "basic instincts",
            "bearer of bad news",
            "9783161484100",
            "hf_space",
            "12:30 @ home",
            "What is your password?",
            "a password=",
            "2026-11-26T08:00:00Z",
            "auth0|5f7c8ec7c33c6c004bbafe82",
            "google-oauth2|103547991597142817347",
        ] {
            assert!(!holds_secret(text), "{text}");
            assert_eq!(veiled(text), text);
        }
    }

    #[test]
    fn messages_keep_what_is_no_secret() {
        let text = "email: \"sk_live_4eC39HqLyjWDarjtT1zdp7dc\" is not an e-mail address";
        assert_eq!(veiled(text), "email: \"***\" is not an e-mail address");
    }
}
