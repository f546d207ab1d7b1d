//! Launch checklists.

use authorstack_core::migrate::Kind;
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use rand::Rng;

use super::{
    Fate, Owned,
    maker::{Maker, NOBODY, decimal, unknown_fields},
};

const CATEGORIES: &[&str] = &["Editing", "Design", "Reviews", "Marketing"];

impl Maker {
    fn task(&mut self, number: i32) -> Document {
        let completed = self.random.random_bool(0.5);
        let mut task = doc! {
            "id": format!("task-{number}"),
            "title": self.text(3),
            "description": self.text(8),
            "completed": completed,
            "dueDate": self.date(),
            "category": self.pick(CATEGORIES),
            "_id": self.id(),
        };
        if completed {
            task.insert("completedAt", self.date());
        }
        task
    }

    fn checklist(&mut self, of: Owned) -> Document {
        let id = self.id();
        let tasks: Vec<Document> = (0..self.random.random_range(0..6))
            .map(|n| self.task(n))
            .collect();
        doc! {
            "_id": id,
            "bookId": of.book,
            "userId": of.user,
            "templateId": "ebook-launch",
            "name": format!("Launch of {}", self.text(2)),
            "tasks": tasks,
            "progress": 50,
            "createdAt": self.date(),
            "updatedAt": self.date(),
            "__v": 0,
        }
    }

    pub(super) fn sound_checklist(&mut self, of: Owned) {
        let checklist = self.checklist(of);
        self.add(Kind::Checklists, &checklist);
    }

    fn checklist_case(
        &mut self,
        of: Owned,
        about: &'static str,
        fate: Fate,
        spoil: impl FnOnce(&mut Document),
    ) {
        let mut checklist = self.checklist(of);
        spoil(&mut checklist);
        self.add_case(Kind::Checklists, about, fate, &checklist);
    }

    /// A checklist of two tasks; the second one is dirty.
    fn task_case(
        &mut self,
        of: Owned,
        about: &'static str,
        fate: Fate,
        spoil: impl FnOnce(&mut Document),
    ) {
        let tasks = [self.task(0), self.task(1)];
        self.checklist_case(of, about, fate, |checklist| {
            let [first, mut second] = tasks;
            spoil(&mut second);
            checklist.insert("tasks", vec![first, second]);
        });
    }

    #[expect(clippy::too_many_lines, reason = "a list of cases")]
    pub(super) fn dirty_checklists(&mut self, of: Owned) {
        use Fate::{Carried, Rejected, SetAside};
        for (about, progress) in [
            ("a progress as an int64", Bson::Int64(100)),
            ("a progress as a double", Bson::Double(33.3)),
            ("a progress as a string", Bson::from("ninety")),
            ("a progress as a Decimal128", decimal("12")),
            ("an infinite progress", Bson::Double(f64::INFINITY)),
        ] {
            self.checklist_case(of, about, Carried, |checklist| {
                checklist.insert("progress", progress);
            });
        }
        self.checklist_case(of, "optional fields missing", Carried, |checklist| {
            for field in [
                "templateId",
                "tasks",
                "progress",
                "createdAt",
                "updatedAt",
                "__v",
            ] {
                checklist.remove(field);
            }
        });
        self.checklist_case(of, "optional fields null", Carried, |checklist| {
            for field in ["templateId", "tasks", "progress", "updatedAt"] {
                checklist.insert(field, Bson::Null);
            }
        });
        self.task_case(of, "optional fields of a task missing", Carried, |task| {
            *task = doc! { "id": "bare", "title": "Bare" };
        });
        self.task_case(of, "unknown fields of every type", Carried, |task| {
            task.insert("legacy", unknown_fields());
        });
        self.task_case(of, "a task without an id", SetAside("tasks.1.id"), |task| {
            task.remove("id");
        });
        self.task_case(of, "two tasks of one id", SetAside("tasks.1.id"), |task| {
            task.insert("id", "task-0");
        });
        self.task_case(
            of,
            "a task without a title",
            SetAside("tasks.1.title"),
            |task| {
                task.insert("title", Bson::Null);
            },
        );
        self.task_case(
            of,
            "a text as a date",
            SetAside("tasks.1.dueDate"),
            |task| {
                task.insert("dueDate", "next week");
            },
        );
        self.task_case(
            of,
            "a text as done",
            SetAside("tasks.1.completed"),
            |task| {
                task.insert("completed", "almost");
            },
        );
        self.task_case(of, "yes as done, a date as a text", Carried, |task| {
            task.insert("_id", ObjectId::new());
            task.insert("completed", "yes");
            task.insert("dueDate", "2024-05-01T10:00:00+02:00");
        });
        self.checklist_case(of, "a single task, ids as digits", Carried, |checklist| {
            checklist.insert("tasks", doc! { "id": "a", "title": "Cover" });
            for field in ["userId", "bookId"] {
                let id = checklist.get_object_id(field).unwrap_or_default();
                checklist.insert(field, id.to_hex());
            }
        });
        self.task_case(of, "NUL in a task", SetAside("tasks.1.title"), |task| {
            task.insert("title", "Cover\0art");
        });
        self.task_case(of, "a task due after 9999", Carried, |task| {
            task.insert("dueDate", DateTime::from_millis(345_600_000_000_000));
        });
        self.checklist_case(
            of,
            "a number where tasks belong",
            SetAside("tasks"),
            |checklist| {
                checklist.insert("tasks", 3);
            },
        );
        self.checklist_case(of, "no name", Rejected("name"), |checklist| {
            checklist.remove("name");
        });
        self.checklist_case(
            of,
            "bytes that are not UTF-8",
            Rejected("name"),
            |checklist| {
                checklist.insert("name", "Caf\u{1}\u{2} launch");
            },
        );
        self.patch_last(Kind::Checklists, b"Caf\x01\x02", b"Caf\xe9\xff");
        self.checklist_case(of, "a string as _id", Rejected("_id"), |checklist| {
            checklist.insert("_id", "checklist-1");
        });
        self.checklist_case(of, "a book that is gone", Rejected("bookId"), |checklist| {
            checklist.insert("bookId", NOBODY);
        });
        self.checklist_case(of, "a user who is gone", Rejected("userId"), |checklist| {
            checklist.insert("userId", NOBODY);
        });
        self.checklist_case(
            of,
            "a book's id as a text",
            Rejected("bookId"),
            |checklist| {
                checklist.insert("bookId", ObjectId::from_bytes([1; 12]).to_hex());
            },
        );
    }
}
