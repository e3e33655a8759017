//! Replicas of the services: how many there are, how they are restarted, how they are broken.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crate::environment;
use crate::error::{Error, Result};
use crate::keeper::Recipe;
use crate::process::Process;
use crate::stack::Stack;
use crate::stop::stop_together;
use crate::watch::Probe;
use crate::{Replica, Service, ports};

impl Stack {
    /// Brings a service to this many replicas: the highest numbers go first. Returns when all are ready.
    pub async fn scale(&mut self, service: Service, replicas: u16) -> Result<()> {
        self.set_replicas(service, replicas).await?;
        self.service_ready(service).await
    }

    /// [`Stack::scale`] without the wait for those that were started.
    pub async fn set_replicas(&mut self, service: Service, replicas: u16) -> Result<()> {
        let limit = self.options.ports.limit;
        if replicas > limit {
            return Err(Error::TooMany { service, asked: replicas, limit });
        }
        let wanted = usize::from(replicas);
        let now = self.services.entry(service).or_default();
        if now.len() > wanted {
            stop_together(&now[wanted..]).await;
            now.truncate(wanted);
        }
        let first = u16::try_from(now.len()).unwrap_or(limit) + 1;
        // Only the ports that are theirs alone: the API's is shared.
        let of =
            |number| (self.options.ports.health(service, number), Replica { service, number }.to_string());
        ports::check_free((first..=replicas).map(of))?;
        for number in first..=replicas {
            let process = self.new_replica(Replica { service, number });
            process.start().await;
            self.services.entry(service).or_default().push(process);
        }
        self.update_board();
        Ok(())
    }

    fn new_replica(&self, replica: Replica) -> Process {
        let port = self.options.ports.of(replica).health();
        let process = Process::new(
            replica.to_string(),
            port,
            Probe::Readiness,
            self.recipe(replica),
            self.limits(),
            &self.home,
            &self.journal,
        );
        process.set_restarts(self.restarts.get(&replica.service).copied().unwrap_or(true));
        process
    }

    fn recipe(&self, replica: Replica) -> Recipe {
        let binary: PathBuf = self.options.bin_dir.join(replica.service.name());
        let variables: Vec<_> = self
            .client_variables()
            .into_iter()
            .chain(environment::replica(&self.options.ports, replica))
            .chain(self.options.env.clone())
            .collect();
        let launcher = self.launcher.clone();
        let overrides = Arc::clone(&self.overrides);
        let folder = self.options.repo.clone();
        Box::new(move || {
            let mut command = launcher.command(&binary);
            command.current_dir(&folder).envs(variables.iter().map(|(name, value)| (name, value)));
            let overrides = overrides.lock().unwrap_or_else(PoisonError::into_inner);
            command.envs(overrides.get(&replica.service).into_iter().flatten());
            command
        })
    }

    /// Restarts a service one replica at a time, each ready before the next goes down.
    ///
    /// A single ingest-api gets a second one meanwhile, so that somebody always listens.
    pub async fn restart(&mut self, service: Service) -> Result<()> {
        let replicas = self.services.get(&service).map_or(0, Vec::len);
        let alone = service == Service::IngestApi && replicas == 1;
        if alone {
            self.scale(service, 2).await?;
        }
        for process in self.services.get(&service).into_iter().flatten().take(replicas) {
            process.stop().await;
            process.start().await;
            process.ready().await?;
            self.journal.say(format!("{} restarted", process.name()));
        }
        if alone {
            self.scale(service, 1).await?;
        }
        Ok(())
    }

    /// One replica, to stop, start, kill and freeze it.
    pub fn replica(&self, service: Service, number: u16) -> Result<&Process> {
        let index = usize::from(number).checked_sub(1);
        let of = self.services.get(&service);
        index.zip(of).and_then(|(index, of)| of.get(index)).ok_or(Error::NoSuchReplica(service, number))
    }

    /// Where one replica answers health and metrics, without a slash at the end.
    pub fn management_url(&self, service: Service, number: u16) -> String {
        format!("http://127.0.0.1:{}", self.options.ports.of(Replica { service, number }).health())
    }

    /// `kill -9` of one replica. It is dead when this returns, and on its way up again unless told otherwise.
    pub async fn kill_9(&self, service: Service, number: u16) -> Result<()> {
        self.replica(service, number)?.kill_9().await
    }

    /// Sets a variable for the later starts of a service, restarts after a crash included.
    pub fn set_env(&self, service: Service, name: &str, value: &str) {
        let mut overrides = self.overrides.lock().unwrap_or_else(PoisonError::into_inner);
        overrides.entry(service).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// Whether replicas of a service, also future ones, are started again after a crash: yes, unless told otherwise.
    pub fn set_restarts(&mut self, service: Service, restarts: bool) {
        self.restarts.insert(service, restarts);
        self.services.get(&service).into_iter().flatten().for_each(|process| process.set_restarts(restarts));
    }

    /// Waits until every replica of every service is ready, or says which one is not and why.
    pub async fn wait_ready(&self) -> Result<()> {
        for service in self.services.keys() {
            self.service_ready(*service).await?;
        }
        Ok(())
    }

    async fn service_ready(&self, service: Service) -> Result<()> {
        for process in self.services.get(&service).into_iter().flatten() {
            process.ready().await?;
        }
        Ok(())
    }

    /// A step of the start.
    pub(crate) async fn report_ready(&self, service: Service) -> Result<()> {
        let Some(count) = self.services.get(&service).map(Vec::len).filter(|count| *count > 0) else {
            return Ok(());
        };
        let step = self.journal.step(service);
        self.service_ready(service).await?;
        step.done(match count {
            1 => "ready".to_owned(),
            several => format!("{several} replicas ready"),
        });
        Ok(())
    }
}
