//! Community posts, with their likes and comments inside.

use async_trait::async_trait;
use authorstack_core::{
    Comment, CommentId, CommunityRepository, Error, Feed, Follow, Id, NewPost, Page, PageRequest,
    Post, PostPatch, PostView, Result, Unreadable, User, Visibility,
    migrate::{Kind, Problems},
};
use bson::{Bson, Document, RawDocument, doc};
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use mongodb::options::{FindOptions, ReturnDocument};

use crate::{
    document::{
        comment, decode, encode_comment, encode_with_arrays,
        key::{id_in_text, key_of},
        post_view,
    },
    error::driver,
    page::{
        behind_date, behind_id, beyond, by_ids, direction, in_one_batch, listed, one_more,
        text_or_edge, unreadable,
    },
    pipeline::{date, forms_of, list_of, literal, moment, name_as_read, refers_to},
    raw::{Raw, tagged},
    store::{MongoStore, by_id},
};

#[derive(Debug)]
pub(crate) struct MongoCommunity(pub(crate) MongoStore);

fn own(author_id: Id<User>, id: Id<Post>) -> Document {
    let mut filter = by_id(id.to_object_id());
    filter.insert("authorId", refers_to(author_id));
    filter
}

/// Posts that are public or by one of these authors. A post without a visibility is not public.
fn public_or_by(authors: impl Into<Bson>) -> Result<Document> {
    Ok(doc! {"$or": [{"visibility": public()?}, {"authorId": {"$in": authors.into()}}]})
}

fn public() -> Result<Bson> {
    name_as_read("visibility", Visibility::Public.as_str())
}

/// The stages that convert posts into the documents of `post_view`.
fn view_stages(viewer_id: Id<User>) -> [Document; 2] {
    let liked = is_among(viewer_id, &list_of("$likes"));
    [
        doc! {"$project": {
            "post": "$$ROOT",
            "likeCount": {"$size": list_of("$likes")},
            "commentCount": {"$size": list_of("$comments")},
            "liked": liked,
        }},
        doc! {"$unset": ["post.likes", "post.comments"]},
    ]
}

/// Whether a user is among others, in a form of their id.
fn is_among(user: Id<User>, others: &Document) -> Document {
    let of_form = |form: Bson| doc! {"$in": [form, others]};
    let forms: Vec<Document> = forms_of(user).into_iter().map(of_form).collect();
    doc! {"$or": forms}
}

fn author_of(bytes: &[u8]) -> Result<Id<User>, Problems> {
    let author = tagged(bytes).find(|(name, _)| *name == b"authorId");
    let id = author.and_then(|(_, author)| match author.read() {
        Raw::ObjectId(id) => Some(id),
        Raw::Text(digits) => id_in_text(digits),
        _ => None,
    });
    let id = id.map(Id::from_bytes);
    id.ok_or_else(|| Problems::from(Error::corrupt("authorId")))
}

/// The id that a reference holds, if the server can read it.
fn id_of(field: &str) -> Document {
    let text = doc! {"$trim": {"input": field}};
    let id = doc! {"$convert": {"input": text, "to": "objectId", "onError": field}};
    doc! {"$cond": [{"$eq": [{"$type": field}, "string"]}, id, field]}
}

impl MongoCommunity {
    /// Runs `act` on a post that the viewer sees. `act` gets a filter that matches the post only
    /// while they see it.
    async fn in_sight<'s, T>(
        &'s self,
        viewer_id: Id<User>,
        id: Id<Post>,
        act: impl Fn(Document) -> BoxFuture<'s, Result<Option<T>>> + Send + Sync,
    ) -> Result<T> {
        let mut open = public_or_by(forms_of(viewer_id))?;
        open.insert("_id", id.to_object_id());
        if let Some(done) = act(open).await? {
            return Ok(done);
        }
        // The post may be for followers.
        let store = &self.0;
        let options = FindOptions::builder()
            .projection(doc! {"authorId": 1})
            .limit(-1)
            .build();
        let post = by_id(id.to_object_id());
        let found = store.find(&store.posts, post, options, author_of).await;
        let author = found?.pop().ok_or_else(Error::not_found)?;
        let follows = doc! {"followerId": refers_to(viewer_id), "authorId": refers_to(author)};
        if !store.exists(&store.follows, follows).await? {
            return Err(Error::not_found());
        }
        let mut followed = by_id(id.to_object_id());
        followed.insert("authorId", refers_to(author));
        act(followed).await?.ok_or_else(Error::not_found)
    }

    /// The viewer, and everyone whom they follow; and their follows that cannot be read.
    async fn circle(&self, viewer_id: Id<User>) -> Result<(Vec<Bson>, Vec<Unreadable>)> {
        let store = &self.0;
        let options = FindOptions::builder()
            .projection(doc! {"_id": 0, "authorId": 1})
            .batch_size(10_000)
            .build();
        let mut follows = doc! {"followerId": refers_to(viewer_id)};
        let found = store
            .find_rows(&store.follows, follows.clone(), options)
            .await?;
        let rows = found.rows()?;
        let authors = rows.iter().map(|row| author_of(row.as_bytes()));
        let authors = authors.filter_map(Result::ok);
        let mut circle: Vec<Bson> = authors.map(|id| id.to_object_id().into()).collect();
        let unreadable = if circle.len() < rows.len() {
            follows.insert("authorId", doc! {"$not": {"$type": "objectId"}});
            let sort = doc! {"_id": 1};
            let most = PageRequest::MAX_LIMIT;
            let options = in_one_batch(sort, most);
            let found = store.find_rows(&store.follows, follows, options).await?;
            let rows = found.rows()?.into_iter();
            rows.filter_map(|row| listed(Kind::Follows, row, decode::<Follow>).err())
                .collect()
        } else {
            Vec::new()
        };
        circle.push(viewer_id.to_object_id().into());
        Ok((circle, unreadable))
    }

    async fn view(&self, viewer_id: Id<User>, filter: Document) -> Result<Option<PostView>> {
        let store = &self.0;
        let [project, unset] = view_stages(viewer_id);
        let pipeline = vec![doc! {"$match": filter}, project, unset];
        let found = store.aggregate(&store.posts, pipeline, post_view);
        Ok(found.await?.pop())
    }

    /// Sets the likes to an expression. Returns how many there are now.
    async fn set_likes(&self, user_id: Id<User>, id: Id<Post>, likes: Document) -> Result<u64> {
        let store = &self.0;
        let set = |filter| {
            let pipeline = vec![doc! {"$set": {"likes": likes.clone()}}];
            let call = store
                .posts
                .find_one_and_update(filter, pipeline)
                .projection(doc! {"_id": 0, "count": {"$size": "$likes"}})
                .return_document(ReturnDocument::After);
            async move {
                let answer = driver(store.deadline, call).await?;
                let count = answer.map(|answer| answer.get_i32("count")).transpose();
                count.map_err(|error| Error::internal(format!("no count of likes: {error}")))
            }
            .boxed()
        };
        let count = self.in_sight(user_id, id, set).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn seen(&self, viewer_id: Id<User>, id: Id<Post>) -> Result<()> {
        let store = &self.0;
        let seen = |filter| {
            let exists = store.exists(&store.posts, filter);
            exists.map_ok(|exists| exists.then_some(())).boxed()
        };
        self.in_sight(viewer_id, id, seen).await
    }
}

#[async_trait]
impl CommunityRepository for MongoCommunity {
    async fn create(&self, author_id: Id<User>, post: NewPost) -> Result<Post> {
        let store = &self.0;
        let post = post.into_post(author_id);
        let document = encode_with_arrays(&post, "visibility")?;
        store.known_user(author_id).await?;
        store.insert(&store.posts, document).await?;
        Ok(post)
    }

    async fn get(&self, viewer_id: Id<User>, id: Id<Post>) -> Result<PostView> {
        let view = |filter| self.view(viewer_id, filter).boxed();
        self.in_sight(viewer_id, id, view).await
    }

    async fn feed(
        &self,
        viewer_id: Id<User>,
        feed: Feed,
        request: PageRequest,
    ) -> Result<Page<PostView>> {
        let store = &self.0;
        let mut unreadable = Vec::new();
        let mut filter = match feed {
            Feed::Following | Feed::Everyone => {
                let (circle, unread) = self.circle(viewer_id).await?;
                unreadable = unread;
                match feed {
                    Feed::Everyone => public_or_by(circle)?,
                    Feed::Following | Feed::Author(_) => doc! {"authorId": {"$in": circle}},
                }
            }
            Feed::Author(author_id) => {
                let author = refers_to(author_id);
                let follows = doc! {"followerId": refers_to(viewer_id), "authorId": author.clone()};
                let mut filter = doc! {"authorId": author};
                if author_id != viewer_id && !store.exists(&store.follows, follows).await? {
                    filter.insert("visibility", public()?);
                }
                filter
            }
        };
        let sort = by_ids(&mut filter, &request)?;
        let [project, unset] = view_stages(viewer_id);
        let pipeline = vec![
            doc! {"$match": filter},
            doc! {"$sort": sort},
            doc! {"$limit": i64::from(one_more(&request))},
            project,
            unset,
        ];
        let found = store.aggregate_rows(&store.posts, pipeline).await?;
        let read = |row: &&RawDocument| listed(Kind::CommunityPosts, row, post_view);
        let behind = |row: &&RawDocument| behind_id(row, "_id", request.sort_order());
        let mut page = Page::from_rows(&found.rows()?, request.limit(), read, behind);
        page.unreadable.append(&mut unreadable);
        Ok(page)
    }

    async fn update(&self, author_id: Id<User>, id: Id<Post>, patch: PostPatch) -> Result<Post> {
        let store = &self.0;
        let (own, expected) = (own(author_id, id), patch.expected_updated_at);
        store.patch(&store.posts, own, id, &patch, expected).await
    }

    async fn delete(&self, author_id: Id<User>, id: Id<Post>) -> Result<()> {
        let store = &self.0;
        store.delete(&store.posts, own(author_id, id)).await
    }

    async fn like(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64> {
        let user = user_id.to_object_id();
        let likes = list_of("$likes");
        let added = doc! {"$concatArrays": [&likes, [user]]};
        let once = doc! {"$cond": [is_among(user_id, &likes), &likes, added]};
        self.0.known_user(user_id).await?;
        self.set_likes(user_id, id, once).await
    }

    async fn unlike(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64> {
        let others = doc! {"$filter": {
            "input": list_of("$likes"),
            "as": "user",
            "cond": {"$not": [{"$in": ["$$user", forms_of(user_id)]}]},
        }};
        self.set_likes(user_id, id, others).await
    }

    async fn likers(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        request: PageRequest,
    ) -> Result<Page<Id<User>>> {
        let after = request.after_id::<User>()?;
        self.seen(viewer_id, id).await?;
        let mut pipeline = vec![
            doc! {"$match": by_id(id.to_object_id())},
            doc! {"$project": {"likes": list_of("$likes")}},
            doc! {"$unwind": "$likes"},
            doc! {"$set": {"likes": id_of("$likes")}},
        ];
        if let Some(after) = after {
            let likes = doc! {"$type": "objectId", beyond(&request): after.to_object_id()};
            pipeline.push(doc! {"$match": {"likes": likes}});
        }
        pipeline.extend([
            // A user is listed once, even if an old app listed them twice.
            doc! {"$group": {"_id": "$likes"}},
            doc! {"$sort": {"_id": direction(&request)}},
            doc! {"$limit": i64::from(one_more(&request))},
        ]);
        let store = &self.0;
        let found = store.aggregate_rows(&store.posts, pipeline).await?;
        let read = |row: &&RawDocument| {
            let user = row.get_object_id("_id").map(Id::from_object_id);
            user.map_err(|_| {
                let key = format!("{id}.{}", key_of(row.as_bytes()).unwrap_or_default());
                Unreadable::new(Kind::PostLikes.as_str(), key, vec!["likes".to_owned()])
            })
        };
        let behind = |row: &&RawDocument| behind_id(row, "_id", request.sort_order());
        Ok(Page::from_rows(
            &found.rows()?,
            request.limit(),
            read,
            behind,
        ))
    }

    async fn comment(&self, author_id: Id<User>, id: Id<Post>, content: String) -> Result<Comment> {
        let store = &self.0;
        let comment = Comment::new(id, author_id, content);
        let document = encode_comment(&comment)?;
        let added = doc! {"$concatArrays": [list_of("$comments"), [literal(document)]]};
        store.known_user(author_id).await?;
        let add = |filter| {
            let pipeline = vec![doc! {"$set": {"comments": added.clone()}}];
            let updated = driver(store.deadline, store.posts.update_one(filter, pipeline));
            updated
                .map_ok(|updated| (updated.matched_count > 0).then_some(()))
                .boxed()
        };
        self.in_sight(author_id, id, add).await?;
        Ok(comment)
    }

    async fn comments(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        request: PageRequest,
    ) -> Result<Page<Comment>> {
        let after = request.after_moment()?;
        self.seen(viewer_id, id).await?;
        // The same default as in reading.
        let of_post = doc! {"$ifNull": [moment("$createdAt"), {"$toDate": "$_id"}]};
        let written = doc! {"$ifNull": [moment("$comments.createdAt"), of_post]};
        let mut pipeline = vec![
            doc! {"$match": by_id(id.to_object_id())},
            doc! {"$project": {"createdAt": 1, "comments": list_of("$comments")}},
            doc! {"$unwind": "$comments"},
            doc! {"$set": {"at": written}},
        ];
        if let Some((at, key)) = after {
            let (at, beyond) = (date(at), beyond(&request));
            pipeline.push(doc! {"$match": {"$or": [
                {"at": {beyond: at}},
                {"at": at, "comments.id": {beyond: key}},
            ]}});
        }
        let order = direction(&request);
        pipeline.extend([
            doc! {"$sort": {"at": order, "comments.id": order}},
            doc! {"$limit": i64::from(one_more(&request))},
            doc! {"$project": {
                "_id": 0,
                "postId": "$_id",
                "comments": 1,
                "at": 1,
                "parentCreatedAt": "$createdAt",
            }},
        ]);
        let store = &self.0;
        let found = store.aggregate_rows(&store.posts, pipeline).await?;
        let comment_id = |row: &'_ RawDocument| -> String {
            let comment = row.get_document("comments").ok();
            let comment_id = comment.and_then(|comment| comment.get("id").ok()?);
            text_or_edge(comment_id).to_owned()
        };
        let read = |row: &&RawDocument| {
            comment(row.as_bytes(), None).map_err(|problems| {
                let key = format!("{id}.{}", comment_id(row));
                unreadable(Kind::PostComments, key, problems)
            })
        };
        let behind = |row: &&RawDocument| {
            let at = row.get("at").ok().flatten();
            behind_date(at, comment_id(row), request.sort_order())
        };
        Ok(Page::from_rows(
            &found.rows()?,
            request.limit(),
            read,
            behind,
        ))
    }

    async fn delete_comment(
        &self,
        user_id: Id<User>,
        id: Id<Post>,
        comment: CommentId,
    ) -> Result<()> {
        let (user, comment) = (refers_to(user_id), comment.as_str());
        let mut filter = by_id(id.to_object_id());
        filter.insert(
            "$or",
            vec![
                doc! {"authorId": &user, "comments.id": comment},
                doc! {"comments": {"$elemMatch": {"id": comment, "authorId": &user}}},
                // A single comment that is no array.
                doc! {
                    "comments": {"$not": {"$type": "array"}},
                    "comments.id": comment,
                    "comments.authorId": &user,
                },
            ],
        );
        let theirs = doc! {"$or": [
            {"$in": ["$authorId", forms_of(user_id)]},
            {"$in": ["$$comment.authorId", forms_of(user_id)]},
        ]};
        let is_it = doc! {"$eq": ["$$comment.id", literal(comment)]};
        let left = doc! {"$filter": {
            "input": list_of("$comments"),
            "as": "comment",
            "cond": {"$not": [{"$and": [is_it, theirs]}]},
        }};
        let store = &self.0;
        let pipeline = vec![doc! {"$set": {"comments": left}}];
        let updated = store.posts.update_one(filter, pipeline);
        match driver(store.deadline, updated).await?.matched_count {
            0 => Err(Error::not_found()),
            _ => Ok(()),
        }
    }
}
