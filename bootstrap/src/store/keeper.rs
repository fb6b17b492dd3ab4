//! The thread that owns the store, since databases make one wait and requests must not.

use super::{Store, StoreError};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use tokio::sync::oneshot;

/// How much may wait to be done.
const WAITING_MAX: usize = 1024;

type Work = Box<dyn FnOnce(&mut Store) + Send>;

/// Hands work to the thread that owns the store. When the last copy is dropped, the thread does what waits and ends.
#[derive(Clone, Debug)]
pub struct Keeper {
    work: SyncSender<Work>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(mut store: Store) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let (sender, waiting) = sync_channel::<Work>(WAITING_MAX);
        let name = thread::Builder::new().name("p2pnet-store".into());
        let thread = name.spawn(move || waiting.iter().for_each(|work| work(&mut store)))?;
        Ok((Self { work: sender }, thread))
    }

    /// Has something done, and waits for what comes of it.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Busy`] at once if too much waits already.
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Database("the database was closed".into());
        let (tell, told) = oneshot::channel();
        let work: Work = Box::new(move |store| {
            // Whoever asked may have gone.
            let _ = tell.send(work(store));
        });
        self.work.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => gone(),
        })?;
        told.await.map_err(|_| gone())?
    }
}
