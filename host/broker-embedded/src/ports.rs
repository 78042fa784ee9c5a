//! Whether ports are free, asked before anything starts: the services themselves report a taken
//! port late and without naming it. Between asking and listening another program may still win.

use crate::config::EmbeddedSettings;
use crate::error::EmbeddedError;
use std::net::IpAddr;
use tokio::net::TcpListener;

impl EmbeddedSettings {
    /// Checks the ports of both services.
    pub(crate) async fn check_ports(&self) -> Result<(), EmbeddedError> {
        self.check_name_server_port().await?;
        self.check_broker_ports().await
    }

    pub(crate) async fn check_name_server_port(&self) -> Result<(), EmbeddedError> {
        free(self.bind, "name server", self.namesrv_port).await
    }

    pub(crate) async fn check_broker_ports(&self) -> Result<(), EmbeddedError> {
        let (fast, replication) = self.derived_ports()?;
        free(self.bind, "broker", self.broker_port).await?;
        free(
            self.bind,
            "broker's second listener (broker port - 2)",
            fast,
        )
        .await?;
        free(
            self.bind,
            "broker's replication (broker port + 1)",
            replication,
        )
        .await
    }

    /// The ports the broker takes besides its own: its second listener and its replication port.
    pub(crate) fn derived_ports(&self) -> Result<(u16, u16), EmbeddedError> {
        let port = self.broker_port;
        let fast = port.checked_sub(2).filter(|port| *port > 0);
        match (fast, port.checked_add(1)) {
            (Some(fast), Some(replication)) => Ok((fast, replication)),
            _ => Err(EmbeddedError::Port { port }),
        }
    }
}

async fn free(bind: IpAddr, role: &'static str, port: u16) -> Result<(), EmbeddedError> {
    match TcpListener::bind((bind, port)).await {
        Ok(_) => Ok(()),
        Err(source) => Err(EmbeddedError::PortInUse { role, port, source }),
    }
}
