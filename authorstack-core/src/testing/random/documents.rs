//! Operations on users, books, checklists and competitors.

use serde_json::json;

use super::{Both, PartTwin, Twin, both, walk};
use crate::{
    Book, BookFilter, BookPatch, BookStatus, Change, ChecklistFilter, ChecklistPatch, Competitor,
    CompetitorPatch, DateRange, NewBook, NewChecklist, NewCompetitor, NewTask, NewUser, Platform,
    Price, SubscriptionTier, TaskChange, TaskPatch, User, UserPatch,
};

impl Both<'_> {
    pub(super) async fn create_user(&mut self) {
        if self.users.len() > 7 {
            return;
        }
        // One of both may be taken; of both at once a store may name either.
        let (mut account, mut email) = (self.number(1 << 30), self.number(1 << 30));
        if self.chance(50) {
            account = self.number(12);
        } else {
            email = self.number(12);
        }
        let new = NewUser {
            credits: i64::from(self.number(200)),
            ..NewUser::new(
                format!("account-{account}").parse().unwrap(),
                format!("author{email}@example.org").parse().unwrap(),
                format!("Author {email}"),
            )
        };
        let what = format!("create user {account} {email}");
        let created = both!(self, what, |store, side| store.users().create(new.clone()));
        self.users.extend(created.as_ref().map(Twin::of));
    }

    pub(super) async fn step_with_users(&mut self) {
        let user = self.user();
        match self.number(12) {
            0..2 => {
                let amount = i64::from(self.number(60)) - 2;
                let what = format!("add {amount} credits");
                both!(self, what, |store, side| store
                    .users()
                    .add_credits(user.on(side), amount));
            }
            2..4 => {
                let amount = i64::from(self.number(80)) - 2;
                let what = format!("spend {amount} credits");
                both!(self, what, |store, side| store
                    .users()
                    .spend_credits(user.on(side), amount));
            }
            4..6 => {
                let patch = UserPatch {
                    name: self.chance(50).then(|| self.text()),
                    email: self
                        .chance(30)
                        .then(|| format!("author{}@example.org", self.number(12)))
                        .map(|email| email.parse().unwrap()),
                    subscription_tier: self.chance(30).then_some(SubscriptionTier::Starter),
                    ..UserPatch::default()
                };
                let what = format!("update a user: {patch:?}");
                both!(self, what, |store, side| store
                    .users()
                    .update(user.on(side), patch.clone()));
            }
            6..8 => {
                let at = self.moment();
                let platform = self.pick(&[Platform::KDP, Platform::GUMROAD]).unwrap();
                let what = format!("platform {platform} at {at}");
                match self.number(3) {
                    0 => {
                        both!(self, what, |store, side| store.users().connect_platform(
                            user.on(side),
                            platform.clone(),
                            at
                        ));
                    }
                    1 => {
                        both!(self, what, |store, side| store.users().mark_synced(
                            user.on(side),
                            &platform,
                            at
                        ));
                    }
                    _ => {
                        both!(self, what, |store, side| store
                            .users()
                            .disconnect_platform(user.on(side), &platform));
                    }
                }
            }
            8 => {
                let email = format!("AUTHOR{}@example.org", self.number(12));
                let email = email.parse().unwrap();
                let what = format!("user by {email}");
                both!(self, what, |store, side| store.users().get_by_email(&email));
            }
            9 => walk!(self, "users".into(), false, |store, side, page| store
                .users()
                .list(page)),
            10 if self.chance(25) => self.delete_user(user).await,
            _ => {
                both!(self, "get a user".into(), |store, side| store
                    .users()
                    .get(user.on(side)));
            }
        }
    }

    async fn delete_user(&mut self, user: Twin<User>) {
        let what = "delete a user".into();
        both!(self, what, |store, side| store
            .users()
            .delete(user.on(side)));
        self.users.retain(|known| known.ids != user.ids);
    }

    pub(super) async fn create_book(&mut self) {
        let user = self.user();
        let mut new = NewBook::new(self.text());
        new.status = self.pick(BookStatus::ALL).unwrap_or_default();
        new.asin = self.chance(50).then(|| "B000000001".parse().unwrap());
        new.published_date = self.chance(50).then(|| self.moment());
        new.genres = vec![self.text().replace('\0', "")];
        let what = format!("create a book {:?}", new.title);
        let created = both!(self, what, |store, side| store
            .books()
            .create(user.on(side), new.clone()));
        self.books
            .extend(created.as_ref().map(|book| (user, Twin::of(book))));
    }

    fn book(&mut self) -> (Twin<User>, Twin<Book>) {
        let books = self.books.clone();
        self.owned(&books)
    }

    pub(super) async fn step_with_books(&mut self) {
        let (user, book) = self.book();
        match self.number(8) {
            0..3 => self.create_book().await,
            3..5 => {
                let patch = BookPatch {
                    title: self.chance(60).then(|| self.text()),
                    subtitle: self.change(Self::text),
                    status: self.chance(30).then_some(BookStatus::Published),
                    published_date: self.change(Self::moment),
                    ..BookPatch::default()
                };
                let what = format!("update a book: {patch:?}");
                both!(self, what, |store, side| store.books().update(
                    user.on(side),
                    book.on(side),
                    patch.clone()
                ));
            }
            5 => {
                let filter = BookFilter {
                    status: self.chance(50).then_some(BookStatus::Draft),
                    ..BookFilter::default()
                };
                let what = format!("books {filter:?}");
                walk!(self, what, false, |store, side, page| store.books().list(
                    user.on(side),
                    filter.clone(),
                    page
                ));
            }
            6 if self.chance(40) => {
                let what = "delete a book".into();
                both!(self, what, |store, side| store
                    .books()
                    .delete(user.on(side), book.on(side)));
            }
            _ => {
                both!(self, "get a book".into(), |store, side| store
                    .books()
                    .get(user.on(side), book.on(side)));
            }
        }
    }

    fn change<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Change<T> {
        match self.number(3) {
            0 => Change::Keep,
            1 => Change::Clear,
            _ => Change::Set(value(self)),
        }
    }

    fn new_task(&mut self) -> NewTask {
        NewTask {
            title: self.text(),
            description: self.chance(40).then(|| self.text()),
            due_date: self.chance(60).then(|| self.moment()),
            category: self.chance(40).then(|| self.text()),
        }
    }

    /// Remembers the tasks of a checklist that both sides answered.
    fn note_tasks(&mut self, user: Twin<User>, answers: Option<[serde_json::Value; 2]>) {
        let Some(answers) = answers else { return };
        let of = Twin::of(&answers);
        if !self.checklists.iter().any(|(_, known)| known.ids == of.ids) {
            self.checklists.push((user, of));
        }
        self.tasks.retain(|task| task.of.ids != of.ids);
        let tasks = |answer: &serde_json::Value| answer["tasks"].as_array().cloned();
        let both_tasks = answers
            .each_ref()
            .map(|answer| tasks(answer).unwrap_or_default());
        let id = |task: &serde_json::Value| task["id"].as_str().unwrap_or_default().to_owned();
        for (model, store) in both_tasks[0].iter().zip(&both_tasks[1]) {
            let texts = [id(model), id(store)];
            self.tasks.push(PartTwin { of, texts });
        }
    }

    pub(super) async fn step_with_checklists(&mut self) {
        let checklists = self.checklists.clone();
        let (user, checklist) = self.owned(&checklists);
        match self.number(20) {
            0..4 => {
                let (user, book) = self.book();
                let tasks = self.number(4);
                let mut new = [
                    NewChecklist::empty(book.on(0), self.text()),
                    NewChecklist::empty(book.on(1), ""),
                ];
                new[0].tasks = (0..tasks).map(|_| self.new_task()).collect();
                new[1].tasks = new[0].tasks.clone();
                new[1].name = new[0].name.clone();
                let what = format!("create a checklist {:?}", new[0]);
                let created = both!(self, what, |store, side| store
                    .checklists()
                    .create(user.on(side), new[side].clone()));
                self.note_tasks(user, created);
            }
            4..14 => self.change_tasks().await,
            14 => {
                let patch = ChecklistPatch {
                    name: self.chance(70).then(|| self.text()),
                    expected_updated_at: self.chance(20).then(|| self.moment()),
                };
                let what = format!("update a checklist: {patch:?}");
                both!(self, what, |store, side| store.checklists().update(
                    user.on(side),
                    checklist.on(side),
                    patch.clone()
                ));
            }
            15 => {
                let (_, book) = self.book();
                let of_book = self.chance(50);
                let filters = [0, 1].map(|side| ChecklistFilter {
                    book_id: of_book.then(|| book.on(side)),
                });
                walk!(self, "checklists".into(), false, |store, side, page| store
                    .checklists()
                    .list(user.on(side), filters[side].clone(), page));
            }
            16..18 => {
                let until = self.moment();
                let what = format!("due until {until}");
                walk!(self, what, true, |store, side, page| store
                    .checklists()
                    .due(user.on(side), until, page));
            }
            18 if self.chance(40) => {
                let what = "delete a checklist".into();
                both!(self, what, |store, side| store
                    .checklists()
                    .delete(user.on(side), checklist.on(side)));
            }
            _ => {
                both!(self, "get a checklist".into(), |store, side| store
                    .checklists()
                    .get(user.on(side), checklist.on(side)));
            }
        }
    }

    async fn change_tasks(&mut self) {
        let checklists = self.checklists.clone();
        let (user, checklist) = self.owned(&checklists);
        let own = self
            .tasks
            .iter()
            .filter(|task| task.of.ids == checklist.ids);
        let own: Vec<[String; 2]> = own.map(|task| task.texts.clone()).collect();
        let task = match self.pick(&own) {
            Some(task) if !self.chance(5) => task,
            _ => ["nothing".to_owned(), "nothing".to_owned()],
        };
        let id = |side: usize| task[side].parse().unwrap();
        let changes: [TaskChange; 2] = match self.number(7) {
            0..2 => {
                let task = self.new_task().into_task();
                [TaskChange::Add(task.clone()), TaskChange::Add(task)]
            }
            2 => {
                let patch = TaskPatch {
                    title: self.chance(40).then(|| self.text()),
                    description: self.change(Self::text),
                    due_date: self.change(Self::moment),
                    category: self.change(Self::text),
                };
                [0, 1].map(|side| TaskChange::Edit {
                    id: id(side),
                    patch: patch.clone(),
                })
            }
            3 => {
                let at = self.moment();
                [0, 1].map(|side| TaskChange::Complete { id: id(side), at })
            }
            4 => [0, 1].map(|side| TaskChange::Reopen { id: id(side) }),
            5 => [0, 1].map(|side| TaskChange::Remove { id: id(side) }),
            _ => {
                let mut order = own.clone();
                order.reverse();
                if self.chance(20) {
                    order.pop();
                }
                if self.chance(10) {
                    order.push(task.clone());
                }
                [0, 1].map(|side| {
                    let ids = order.iter().map(|task| task[side].parse().unwrap());
                    TaskChange::Reorder(ids.collect())
                })
            }
        };
        let what = format!("change tasks: {:?}", changes[0]);
        let answers = both!(self, what, |store, side| store.checklists().change_tasks(
            user.on(side),
            checklist.on(side),
            changes[side].clone()
        ));
        self.note_tasks(user, answers);
    }

    pub(super) async fn step_with_competitors(&mut self) {
        let competitors = self.competitors.clone();
        let (user, rival) = self.owned(&competitors);
        match self.number(14) {
            0..3 => {
                let user = self.user();
                let asin = format!("B{:09}", self.number(5));
                let mut new = NewCompetitor::new(asin.parse().unwrap());
                new.title = self.chance(60).then(|| self.text());
                new.currency = self.chance(50).then(|| "USD".parse().unwrap());
                new.extra = json!({"shelf": self.number(9)})
                    .as_object()
                    .unwrap()
                    .clone();
                let what = format!("track {asin}");
                let tracked = both!(self, what, |store, side| store
                    .competitors()
                    .create(user.on(side), new.clone()));
                self.competitors
                    .extend(tracked.as_ref().map(|rival| (user, Twin::of(rival))));
            }
            3..7 => {
                let at = self.moment();
                let price = f64::from(self.number(2_000)) / 100.0;
                let price = Price::from_f64(price).unwrap();
                let what = format!("price {price} at {at}");
                both!(self, what, |store, side| store.competitors().record_price(
                    user.on(side),
                    rival.on(side),
                    price,
                    at
                ));
            }
            7 => {
                let at = self.moment();
                let what = format!("checked at {at}");
                both!(self, what, |store, side| store.competitors().mark_checked(
                    user.on(side),
                    rival.on(side),
                    at
                ));
            }
            8..10 => {
                let range = DateRange {
                    from: self.chance(50).then(|| self.moment()),
                    until: self.chance(50).then(|| self.moment()),
                };
                let what = format!("history {range:?}");
                walk!(self, what, true, |store, side, page| store
                    .competitors()
                    .history(user.on(side), rival.on(side), range, page));
            }
            10 => self.patch_competitor(user, rival).await,
            11 => {
                let (before, limit) = (self.moment(), self.number(6));
                let what = format!("{limit} due before {before}");
                both!(self, what, |store, side| store
                    .competitors()
                    .due_for_check(before, limit));
            }
            12 if self.chance(30) => {
                let what = "delete a competitor".into();
                both!(self, what, |store, side| store
                    .competitors()
                    .delete(user.on(side), rival.on(side)));
            }
            _ => {
                let asin = format!("b{:09}", self.number(5)).parse().unwrap();
                let what = format!("competitor {asin}");
                both!(self, what, |store, side| store
                    .competitors()
                    .get_by_asin(user.on(side), &asin));
                walk!(self, "competitors".into(), false, |store, side, page| store
                    .competitors()
                    .list(user.on(side), page));
            }
        }
    }

    async fn patch_competitor(&mut self, user: Twin<User>, rival: Twin<Competitor>) {
        let patch = CompetitorPatch {
            title: self.change(Self::text),
            genre: self.change(Self::text),
            ..CompetitorPatch::default()
        };
        let what = format!("update a competitor: {patch:?}");
        both!(self, what, |store, side| store.competitors().update(
            user.on(side),
            rival.on(side),
            patch.clone()
        ));
    }
}
