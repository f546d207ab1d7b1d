use super::*;
use crate::ErrorKind;

const SALT: &str = "42xEC+ixf3L2lw==";
const SIGNER: &str =
    "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";
const FIREBASE: &str =
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
const ARGON2: &str = "$argon2id$v=19$m=65536,t=4,p=3$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA";
const BCRYPT: &str = "$2b$08$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

fn firebase(separator: &str) -> HashParameters {
    HashParameters::FirebaseScrypt {
        salt: SALT.to_owned().into(),
        separator: separator.to_owned().into(),
        signer_key: SIGNER.to_owned().into(),
        log_n: 14,
        r: 8,
        p: 1,
    }
}

fn scrypt() -> HashParameters {
    HashParameters::Scrypt {
        salt: "a salt".to_owned().into(),
        n: 16_384,
        r: 8,
        p: 1,
        length: 4,
    }
}

fn on_supabase(hash: &PasswordHash) -> String {
    hash.for_supabase().unwrap().expose_secret().to_owned()
}

#[test]
fn what_supabase_takes_is_carried_unchanged() {
    for text in [
        ARGON2,
        "$argon2i$v=19$m=1048576,t=20,p=16$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
        BCRYPT,
        &BCRYPT.replace("2b", "2a"),
        &BCRYPT.replace("2b", "2y"),
    ] {
        assert_eq!(on_supabase(&text.parse().unwrap()), text);
    }
}

#[test]
fn firebases_scrypt_becomes_supabases_text_and_is_read_back() {
    for (separator, written) in [("Bw==", ",ss=Bw=="), ("", "")] {
        let hash = PasswordHash::firebase_scrypt(FIREBASE, firebase(separator)).unwrap();
        let text = on_supabase(&hash);
        let expected = format!("$fbscrypt$v=1,n=14,r=8,p=1{written},sk={SIGNER}${SALT}${FIREBASE}");
        assert_eq!(text, expected);
        assert_eq!(text.parse::<PasswordHash>().unwrap(), hash);
    }
}

#[test]
fn the_other_algorithms_are_refused_with_the_way_out() {
    let others = [
        PasswordHash::scrypt("00ffAA11", scrypt()).unwrap(),
        PasswordHash::phpass("$P$Br387rwferoKN7uwHZqNMu98q3U8RO.").unwrap(),
        PasswordHash::sha(&"ab".repeat(32), "sha256").unwrap(),
        PasswordHash::md5(&"0f".repeat(16)).unwrap(),
        "$argon2id$v=19$m=1048577,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g"
            .parse()
            .unwrap(),
        "$argon2id$v=19$m=65536,t=21,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g"
            .parse()
            .unwrap(),
        "$argon2id$v=19$m=65536,t=1,p=17$c2FsdHNhbHRzYWx0$aGFzaGhhc2g"
            .parse()
            .unwrap(),
        PasswordHash::firebase_scrypt(&"AAAA".repeat(50), firebase("")).unwrap(),
    ];
    for hash in others {
        let error = hash.for_supabase().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported { .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains("link to set a new password"),
            "{error}"
        );
    }
}

#[test]
fn what_has_not_the_form_of_its_algorithm_is_refused() {
    for text in [
        "",
        "not-a-hash",
        "$2b$",
        "$2x$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
        "$2b$1$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
        "$2b$03$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
        "$2b$32$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
        "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhW",
        "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lh=y",
        "$argon2d$v=19$m=65536,t=4,p=3$c2FsdHNhbHRzYWx0$aGFzaGhhc2g",
        "$argon2id$v=16$m=65536,t=4,p=3$c2FsdHNhbHRzYWx0$aGFzaGhhc2g",
        "$argon2id$m=65536,t=4,p=3$c2FsdHNhbHRzYWx0$aGFzaGhhc2g",
        "$argon2id$v=19$t=4,m=65536,p=3$c2FsdHNhbHRzYWx0$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=4,p=3,keyid=x$c2FsdHNhbHRzYWx0$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=0,p=3$c2FsdHNhbHRzYWx0$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=1,p=0$c2FsdHNhbHRzYWx0$aGFzaGhhc2g",
        "$argon2id$v=19$m=+65536,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g=",
        "$argon2id$v=19$m=65536,t=1,p=1$c2FsdA$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2h",
        "$fbscrypt$v=2,n=14,r=8,p=1,sk=AAAA$AAAA$AAAA",
        "$fbscrypt$v=1,n=14,r=8,p=1,sk=$AAAA$AAAA",
        "$fbscrypt$v=1,n=14,r=8,p=1,sk=AAAA$AAA$AAAA",
        "$fbscrypt$v=1,n=99,r=8,p=1,sk=AAAA$AAAA$AAAA",
        "$P$short",
    ] {
        let error = text.parse::<PasswordHash>().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "password"));
        // The shortest is in the advice itself.
        let is_shown = text.len() > 5 && format!("{error:?} {error}").contains(text);
        assert!(!is_shown, "{error}");
    }
    assert!(PasswordHash::md5("0f").is_err());
    assert!(PasswordHash::sha("xyz", "sha256").is_err());
    assert!(PasswordHash::sha("00", "sha 256").is_err());
    assert!(PasswordHash::scrypt("00ff", scrypt()).is_err());
    assert!(PasswordHash::scrypt("00ffaa11", HashParameters::None).is_err());
    assert!(PasswordHash::firebase_scrypt(FIREBASE, firebase("Bw")).is_err());
}

#[test]
fn nothing_prints_a_hash_or_its_salt() {
    let hashes = [
        PasswordHash::firebase_scrypt(FIREBASE, firebase("Bw==")).unwrap(),
        PasswordHash::scrypt("00ffaa11", scrypt()).unwrap(),
        ARGON2.parse().unwrap(),
    ];
    for hash in hashes {
        let shown = format!("{hash:?} {:#?} {:?}", hash, hash.parameters());
        for secret in [FIREBASE, SIGNER, SALT, "a salt", "00ffaa11", "argon2id"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn hashes_with_other_parameters_differ() {
    let one = PasswordHash::firebase_scrypt(FIREBASE, firebase("Bw==")).unwrap();
    let other = PasswordHash::firebase_scrypt(FIREBASE, firebase("")).unwrap();
    assert!(one == one.clone() && one != other);
}
